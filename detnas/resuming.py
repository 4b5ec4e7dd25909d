"""What a resumed search may change: marks on the fields of settings, and what is read from them.

A field without a mark may not change. The marks are `msgspec.Meta`, so a struct states the type,
the constraints and the mark of a field in one place.
"""

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from msgspec import Meta, Struct

MAY_CHANGE = Meta(extra={"on_resume": "change"})
"""Any value: it alters no score and no proposal."""

MAY_GROW = Meta(extra={"on_resume": "grow"})
"""The recorded number or a higher one."""

RECORDED_RESOLVED = Meta(extra={"on_resume": "resolved"})
"""A name, a path or a part: what it stands for is recorded instead, and may not change."""


def keys_marked(settings: type[Struct], *marks: Meta, prefix: str = "") -> Iterator[str]:
    """Dotted names of the fields that have one of the marks, those of inner structs included."""
    for name, hint in get_type_hints(settings, include_extras=True).items():
        metadata = hint.__metadata__ if get_origin(hint) is Annotated else ()
        if any(mark in metadata for mark in marks):
            yield f"{prefix}{name}"
            continue
        for inner in (hint, *get_args(hint)):
            if isinstance(inner, type) and issubclass(inner, Struct):
                yield from keys_marked(inner, *marks, prefix=f"{prefix}{name}.")


def remove_keys(section: dict[str, Any], keys: Iterator[str]) -> None:
    """Remove dotted keys from nested dicts where they are present."""
    for key in keys:
        *path, last = key.split(".")
        inner: Any = section
        for part in path:
            inner = inner.get(part, {})
        inner.pop(last, None)
