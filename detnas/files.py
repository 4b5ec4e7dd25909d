"""Atomic writing of files, and their hashes."""

import hashlib
import tempfile
from pathlib import Path

from search_space.documents import remove_half_written, replacing, write_text

__all__ = ["file_sha256", "make_writable", "remove_half_written", "replacing", "write_text"]


def file_sha256(path: Path | str) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
