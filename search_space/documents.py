"""JSON documents in: read and checked, each mistake one line that names the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from search_space.errors import SpaceError

T = TypeVar("T")


def read_document(path: str | Path, absent: str, parse: Callable[[Any], T]) -> T:
    """What `parse` makes of a JSON file's content; `absent` is said where there is none.

    Raises:
        ValueError: no such file, not JSON, or whatever `parse` refuses; the message names the file.
    """
    try:
        return parse(json.loads(Path(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise SpaceError(f"{path}: {absent}") from None
    except OSError as error:
        raise SpaceError(f"{path}: cannot be read ({error.strerror})") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SpaceError(f"{path}: not a JSON file ({error})") from None
    except ValueError as error:
        raise SpaceError(f"{path}: {error}") from None
