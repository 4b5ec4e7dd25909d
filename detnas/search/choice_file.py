"""Files of a search's folder that say how its best was chosen: a JSON object of a struct each."""

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from detnas.errors import user_input
from detnas.files import write_text
from search_space.documents import read_document, require_format
from search_space.validation import convert

T = TypeVar("T", bound=msgspec.Struct)


def save_choice(value: msgspec.Struct, path: Path) -> None:
    """Write the JSON file, whole or not at all."""
    write_text(path, json.dumps(msgspec.to_builtins(value), indent=2) + "\n")


def read_choice(path: Path, kind: type[T], format: str, version: int, called: str) -> T | None:
    """The struct in a file; None where there is no such file.

    Args:
        path: of the file.
        kind: of the struct.
        format: that the file must state.
        version: that the file must state.
        called: what messages call it.
    Raises:
        UserError: the file is damaged or of another version.
    """
    if not path.is_file():
        return None

    def parse(data: Any) -> T:
        require_format(data, called, format, version)
        return convert(data, kind, called)

    with user_input():
        return read_document(path, "no such file", parse)
