"""The index of a zip or tar archive: where each member lies, found in one pass over the archive.

The standard library parses the formats, but its objects for a million members take a gigabyte, and
every loader worker would end up with its own copy. The index keeps all names in one sorted byte
string and all positions in one array. That takes a tenth of the memory, forked workers share it,
and it loads from a file at once.
"""

import posixpath
import stat
import struct
import sys
import tarfile
import time
import zipfile
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detnas.errors import UserError

# `offset` is that of the header before the data in a zip, and that of the data in a tar.
MEMBER = np.dtype(
    [("offset", "<i8"), ("size", "<i8"), ("stored", "<i8"), ("crc", "<u4"), ("deflated", "?")]
)
Member = tuple[int, int, int, int, bool]

PROGRESS_SECONDS = 10.0
DEEPEST = 100
"""Folders in folders; walking recurses into them."""

_FAULTS = (
    *(zipfile.BadZipFile, tarfile.TarError, struct.error),
    *(NotImplementedError, ValueError, OverflowError, EOFError),
)
"""What zipfile and tarfile raise for archives that are damaged, or of unknown versions."""


@dataclass(frozen=True, eq=False)
class ArchiveIndex:
    """The members of an archive by name.

    Attributes:
        names: all names in UTF-8, sorted and concatenated; names of folders end in a slash.
        bounds: int64 (members + 1,); name i is `names[bounds[i] : bounds[i + 1]]`.
        members: `MEMBER` records (members,).
    """

    names: bytes
    bounds: np.ndarray
    members: np.ndarray

    def find(self, name: str) -> Member | None:
        """The record of a file, or None if the archive has no file of that name."""
        wanted = _encoded(name)
        i = self._first(wanted)
        if i == len(self.members) or self._name(i) != wanted:
            return None
        member: Member = self.members[i].item()
        return member

    def is_folder(self, name: str) -> bool:
        """Whether the archive has this folder; an empty name is the archive's root."""
        prefix = _prefix(name)
        i = self._first(prefix)
        return i < len(self.members) and self._name(i).startswith(prefix)

    def walk(self, folder: str = "", recursive: bool = False) -> Iterator[tuple[str, bool]]:
        """Yield each name in a folder, relative to it, and whether it is a folder.

        Files whose names begin with a dot are skipped, as mmengine does.
        """
        prefix = _prefix(folder)
        i = self._first(prefix)
        while i < len(self.members) and (name := self._name(i)).startswith(prefix):
            child, in_folder, _ = name[len(prefix) :].partition(b"/")
            if not in_folder:
                i += 1
                if child and not child.startswith(b"."):
                    yield _decoded(child), False
                continue
            yield _decoded(child), True
            if recursive:
                for below, is_folder in self.walk(_decoded(prefix + child), recursive):
                    yield f"{_decoded(child)}/{below}", is_folder
            i = self._first(prefix + child + b"0", i)  # 0 follows the slash in ASCII

    def _name(self, i: int) -> bytes:
        return self.names[self.bounds[i] : self.bounds[i + 1]]

    def _first(self, name: bytes, start: int = 0) -> int:
        """Position of the first member whose name is not less than `name`."""
        return bisect_left(range(len(self.members)), name, start, key=self._name)


def clean_name(name: str) -> str:
    """A name in an archive without outer slashes and without "." and ".." components."""
    return posixpath.normpath(f"/{name}").lstrip("/")


def scan_zip(path: Path) -> ArchiveIndex:
    """Read the central directory of a zip.

    Raises:
        UserError: the archive is damaged, or has members that cannot be read in place: encrypted
            files, symbolic links, or files compressed by another method than deflate.
    """
    members: dict[bytes, Member] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if fault := _zip_fault(info):
                    raise UserError(f"{path}: {info.filename} is {fault}")
                deflated = info.compress_type == zipfile.ZIP_DEFLATED
                member = (info.header_offset, info.file_size, info.compress_size, info.CRC)
                _add(members, info.filename, info.is_dir(), (*member, deflated))
    except UserError:
        raise
    except _FAULTS as error:
        raise UserError(f"{path} is not a complete zip archive ({error}); copy it again") from error
    return _index(members)


def _zip_fault(info: zipfile.ZipInfo) -> str:
    """Why a member cannot be read in place, and the mend; empty if it can."""
    if info.flag_bits & 1:
        return "encrypted; recreate the archive without"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a symbolic link; recreate the archive with links followed (zip -r without -y)"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"compressed by method {info.compress_type}; recreate the archive (zip -0 -r)"
    return ""


def scan_tar(path: Path) -> ArchiveIndex:
    """Read all headers of a tar; progress is printed to standard error.

    Raises:
        UserError: the archive is damaged, truncated or compressed, or has symbolic links or sparse
            files.
    """
    members: dict[bytes, Member] = {}
    progress = _progress(path)
    try:
        with tarfile.open(path, "r:") as tar:
            while (info := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined] # tarfile keeps all headers
                _add_tar_member(path, members, info)
                progress(info.offset)
            end = tar.offset
    except UserError:
        raise
    except _FAULTS as error:
        raise UserError(
            f"{path} is not a complete uncompressed tar archive ({error}); copy it again, or "
            "unpack it and create one (tar -cf)"
        ) from error
    _check_end(path, end)
    return _index(members)


def _add_tar_member(path: Path, members: dict[bytes, Member], info: tarfile.TarInfo) -> None:
    if info.issym() or info.issparse():
        kind = "symbolic link" if info.issym() else "sparse file"
        raise UserError(
            f"{path}: {info.name} is a {kind}; recreate the archive (tar --dereference -cf)"
        )
    if info.islnk():
        linked = members.get(_encoded(clean_name(info.linkname)))
        if linked is None:
            raise UserError(
                f"{path}: {info.name} links to {info.linkname}, which the archive does not hold "
                "before it; recreate the archive (tar -cf)"
            )
        _add(members, info.name, False, linked)
    elif info.isdir() or info.isreg():
        _add(members, info.name, info.isdir(), (info.offset_data, info.size, info.size, 0, False))


def _check_end(path: Path, end: int) -> None:
    """Require the end mark of a tar: tarfile stops without an error where a header is damaged."""
    with path.open("rb") as file:
        file.seek(end)
        block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE:
        raise UserError(f"{path} is truncated: it has no end mark; copy it again")
    if any(block):
        raise UserError(f"{path} is damaged at byte {end}; copy it again")


def _add(members: dict[bytes, Member], name: str, is_folder: bool, member: Member) -> None:
    """Add a member; of two with one name the later one counts, as when unpacking."""
    clean = clean_name(name)
    if clean.count("/") > DEEPEST:
        raise ValueError(f"a member lies {clean.count('/')} folders deep")
    if clean:
        members[_prefix(clean) if is_folder else _encoded(clean)] = member


def _index(members: Mapping[bytes, Member]) -> ArchiveIndex:
    names = sorted(members)
    return ArchiveIndex(
        names=b"".join(names),
        bounds=np.cumsum([0, *map(len, names)], dtype=np.int64),
        members=np.array([members[name] for name in names], MEMBER),
    )


def _prefix(folder: str) -> bytes:
    return _encoded(f"{folder}/") if folder else b""


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _progress(path: Path) -> Callable[[int], None]:
    """Prints from time to time how much of a file has been read."""
    size, start = path.stat().st_size, time.monotonic()
    due = start + PROGRESS_SECONDS

    def at(offset: int) -> None:
        nonlocal due
        now = time.monotonic()
        if now < due or not offset:
            return
        due = now + PROGRESS_SECONDS
        left = (now - start) * (size - offset) / offset
        print(
            f"    index of {path}  {offset / size:.0%}  {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )

    return at
