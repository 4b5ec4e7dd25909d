"""Images in a zip or tar archive, read in place without unpacking.

The address of a folder in an archive is "zip://data/images.zip/train": the archive's path up to and
including `.zip` or `.tar`, then the path inside it. The index of an archive is saved in a file
beside it, or in the user's cache folder if that file cannot be written. It is rebuilt when the
archive's size or modification time changes.

Every read passes its own position, so threads and forked workers can share one open file.
"""

import hashlib
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from detnas.data.archive_index import ArchiveIndex, clean_name, scan_tar, scan_zip
from detnas.errors import MissingFileError, UserError
from detnas.files import replacing

SCHEMES = ("zip", "tar")

LARGEST = 1 << 28
"""Bytes of the largest file that is read; a small damaged or hostile one may claim any size."""

_INDEX_VERSION = 1
_ADDRESS = re.compile(r"(zip|tar)://(.+?\.(?i:\1))(?:/(.*))?", re.DOTALL)
_COMPRESSED_TAR = re.compile(r"tar://.*\.(tar\.\w+|tgz|tbz2?|txz|tzst)(/|$)", re.IGNORECASE)
_COMPRESSED_STARTS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature; lengths of the name and of the extra field


def is_archive(root: Path | str) -> bool:
    """Whether a root is the address of a folder in an archive: "zip://..." or "tar://..."."""
    return str(root).startswith(("zip://", "tar://"))


def locate(address: str) -> tuple[Path, str]:
    """The archive of an address, and the name in it; an empty name is the archive's root.

    Raises:
        UserError: it names no archive of its scheme, or a compressed tar.
    """
    if found := _ADDRESS.fullmatch(address):
        return _path(found[2]), clean_name(found[3] or "")
    if not is_archive(address):
        raise UserError(f"{address} is not an archive address; write zip://data/images.zip/train")
    scheme, rest = address.split("://", 1)
    if _COMPRESSED_TAR.match(address):
        raise UserError(_compressed(rest))
    raise UserError(
        f"{address} names no .{scheme} file; write {scheme}://<archive>.{scheme}/<folder>"
    )


@lru_cache(maxsize=64)
def _path(archive: str) -> Path:
    return Path(archive)  # one object for all images, so that its hash is computed once


def local_path(root: Path | str) -> Path:
    """A path as if archives were folders: it identifies a folder but may not be opened."""
    return Path(*locate(str(root))) if is_archive(root) else Path(root)


class Archive:
    """An open archive, from `open_archive`."""

    def __init__(self, path: Path, index: ArchiveIndex) -> None:
        self.path = path
        self.index = index
        self._file = path.open("rb", buffering=0)
        self._is_zip = path.suffix.lower() == ".zip"

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            MissingFileError: the archive has no file of that name.
            UserError: the archive is damaged there, or the file is larger than `LARGEST`.
        """
        member = self.index.find(name)
        if member is None:
            raise MissingFileError(f"archive {self.path} holds no file {name!r}")
        offset, size, stored, crc, deflated = member
        if not (offset >= 0 and 0 <= size <= LARGEST and 0 <= stored <= LARGEST):
            raise UserError(
                f"archive {self.path}: {name!r} has {size:,} bytes; images have at most {LARGEST:,}"
            )
        if not self._is_zip:
            return self._bytes(name, offset, stored)
        signature, *lengths = _LOCAL_HEADER.unpack(self._bytes(name, offset, _LOCAL_HEADER.size))
        if signature != b"PK\3\4":
            raise self._damage(name)
        content = self._bytes(name, offset + _LOCAL_HEADER.size + sum(lengths), stored)
        if deflated:
            try:  # one byte over the limit: damaged data may expand without end
                content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, size + 1)
            except zlib.error as error:
                raise self._damage(name) from error
        if zlib.crc32(content) != crc:
            raise self._damage(name)
        return content

    def class_folders(self, folder: str) -> dict[Path, list[Path]]:
        """All files below each subfolder of a folder, as `local_path` has them.

        Raises:
            MissingFileError: the archive has no such folder.
        """
        if not self.index.is_folder(folder):
            top = sorted(repr(name) for name, is_folder in self.index.walk() if is_folder)
            listed = ", ".join(top[:5]) + (", ..." if len(top) > 5 else "")
            raise MissingFileError(
                f"archive {self.path} holds no folder {folder!r}; its folders are "
                f"{listed or 'none'}: correct `data_root`"
            )
        root = self.path / folder
        classes: dict[str, list[Path]] = {}
        for name, is_folder in self.index.walk(folder, recursive=True):
            child, inside, _ = name.partition("/")
            if not is_folder and inside:
                classes[child].append(root / name)
            elif is_folder and not inside:
                classes[child] = []
        return {root / child: files for child, files in sorted(classes.items())}

    def _bytes(self, name: str, offset: int, size: int) -> bytes:
        content = os.pread(self._file.fileno(), size, offset)
        if len(content) != size:
            raise self._damage(name)
        return content

    def _damage(self, name: str) -> UserError:
        return UserError(f"archive {self.path} is damaged at {name!r}; copy it again")


def open_archive(path: Path) -> Archive:
    """Open an archive; a process opens it once, and again when the file has changed.

    Raises:
        MissingFileError: there is no such archive.
        UserError: it cannot be read in place; see `scan_zip` and `scan_tar`.
    """
    try:
        state = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFileError(f"archive {path} does not exist; correct `data_root`") from None
    return _open(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=8)
def _open(path: Path, size: int, modified_ns: int) -> Archive:
    if path.is_dir():
        raise UserError(f"{path} is a folder; write its path without zip:// or tar://")
    stamp = (_INDEX_VERSION, size, modified_ns)
    index = next(filter(None, (_load_index(file, stamp) for file in _index_files(path))), None)
    if index is None:
        index = _scan(path)
        _save_index(path, index, stamp)
    return Archive(path, index)


def _scan(path: Path) -> ArchiveIndex:
    if path.suffix.lower() == ".zip":
        return scan_zip(path)
    with path.open("rb") as file:
        if file.read(8).startswith(_COMPRESSED_STARTS):
            raise UserError(_compressed(str(path)))
    return scan_tar(path)


def _compressed(name: str) -> str:
    return (
        f"{name} is a compressed tar, which has no random access; decompress it, or make a zip "
        "or an uncompressed tar"
    )


def _index_files(archive: Path) -> Iterator[Path]:
    """Where the index of an archive may be, in order of preference."""
    yield archive.with_name(f"{archive.name}.detnas-index.npz")
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    if Path(caches).is_absolute():  # otherwise there is no home folder
        key = hashlib.sha256(os.fsencode(archive.resolve())).hexdigest()[:16]
        yield Path(caches) / "detnas" / f"{archive.name}.{key}.npz"


def _load_index(file: Path, stamp: tuple[int, ...]) -> ArchiveIndex | None:
    """The index in a file; None if it is absent, damaged, or older than the archive."""
    try:
        with np.load(file, allow_pickle=False) as content:
            if tuple(content["stamp"].tolist()) != stamp:
                return None
            return ArchiveIndex(content["names"].tobytes(), content["bounds"], content["members"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def _save_index(archive: Path, index: ArchiveIndex, stamp: tuple[int, ...]) -> None:
    """Save the index in the first place that can be written; without it, the next start is slow."""
    content: dict[str, Any] = {
        "stamp": np.array(stamp, np.int64),
        "names": np.frombuffer(index.names, np.uint8),
        "bounds": index.bounds,
        "members": index.members,
    }
    for file in _index_files(archive):
        with suppress(OSError), replacing(file) as temporary:
            np.savez(temporary, **content)
            return
