"""Atomic writing of files, and their hashes."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search_space.documents import remove_half_written, replacing, write_text

__all__ = [
    "file_sha256",
    "files_into",
    "make_writable",
    "remove_half_written",
    "replacing",
    "write_text",
]


def file_sha256(path: Path | str) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def files_into(folder: Path, replaced: str = "") -> Iterator[Path]:
    """Yield a temporary folder whose files move to `folder` when the block succeeds.

    Args:
        folder: made then, if it does not exist.
        replaced: a pattern of files of `folder` that are removed before, such as "*.onnx".
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder if folder.is_dir() else folder.parent  # of the same file system
    with tempfile.TemporaryDirectory(prefix=".half-written-", dir=beside) as temporary:
        yield Path(temporary)
        folder.mkdir(exist_ok=True)
        for earlier in folder.glob(replaced) if replaced else ():
            earlier.unlink()
        for file in sorted(Path(temporary).iterdir()):
            file.replace(folder / file.name)


def make_writable(folder: Path | str) -> None:
    """Make a folder, and find out before any work whether files can be written there.

    Raises:
        OSError: they cannot; it names the folder.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(folder)) from error
