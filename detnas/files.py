"""Atomic writing of files, and their hashes."""

import hashlib
from pathlib import Path

from search_space.documents import replacing, write_text

__all__ = ["file_sha256", "replacing", "write_text"]


def file_sha256(path: Path | str) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
