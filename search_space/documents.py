"""Reading, checking and writing JSON documents; each mistake is one line that names the file."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from search_space.errors import SpaceError

T = TypeVar("T")


def read_document(path: str | Path, missing: str, parse: Callable[[Any], T]) -> T:
    """What `parse` makes of a JSON file's content.

    Args:
        missing: what the message says if the file does not exist.

    Raises:
        SpaceError: no such file, not JSON, or `parse` raises one; the message names the file.
    """
    try:
        return parse(json.loads(Path(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise SpaceError(f"{path}: {missing}") from None
    except OSError as error:
        raise SpaceError(f"{path}: cannot be read ({error.strerror})") from None
    except SpaceError as error:
        raise SpaceError(f"{path}: {error}") from None
    except (ValueError, RecursionError, OverflowError) as error:
        raise SpaceError(f"{path}: not a JSON file ({error})") from None


def require_format(data: object, kind: str, name: str, version: int, hint: str = "") -> None:
    """Raise SpaceError unless a document is of the format `name` and of this version.

    `kind` is what such a document is called, and `hint` says how to get one.
    """
    if not isinstance(data, Mapping) or data.get("format") != name:
        raise SpaceError(f'not a {name} file: its "format" must be {name!r}{hint}')
    if data.get("version") != version:
        raise SpaceError(f"{kind} version {data.get('version')!r}, this program reads {version}")


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary file beside `path`, and rename it to `path` when the block succeeds.

    The folder is created if missing. File and folder are flushed to the disk. If the block raises,
    the temporary file is removed and `path` is unchanged. An OSError that names no file, as of a
    full disk, gets the name of `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(path.suffix, f".{path.name}.", path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}(\.\w+)?(-journal|-wal|-shm)?")
"""Names that `replacing` makes, and SQLite's files beside them."""


def remove_half_written(folder: Path) -> None:
    """Remove what `replacing` left where its process was killed; nobody else may be writing."""
    for file in folder.glob(".*.*"):
        if _TEMPORARY.fullmatch(file.name) and file.is_file():
            file.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path | str, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
