"""Build frozen dataclasses from config sections, refusing unknown keys and wrong values by name."""

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from detnas.errors import UserError

T = TypeVar("T")


def closest(name: str, known: Iterable[str]) -> str:
    """The mend of a misspelt name: "did you mean 'x'?", or the list of what is known."""
    known = list(known)
    match = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean '{match[0]}'?" if match else f"known: {', '.join(known)}"


def from_mapping(cls: type[T], section: object, where: str, **ready: object) -> T:
    """Build dataclass `cls` from a config section.

    Args:
        section: the mapping found in the config; its keys must be fields of `cls`.
        where: the section's dotted name, for messages.
        ready: fields already built by the caller, used in place of the section's raw ones.

    Raises:
        ValueError: the section is no mapping, has an unknown key or lacks a required one.
    """
    section = require_mapping(section, where)
    # Checked against the dataclass, so a new field needs no second list of names.
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    check_keys(section, fields, where)
    values = {**section, **ready}
    for name, field in fields.items():
        no_default = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if no_default and name not in values:
            raise UserError(f"key '{name}' is missing under {where}; add it")
    return cls(**values)


def check_keys(section: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise ValueError at the first key of `section` that is not among `known`."""
    known = list(known)
    for key in section:
        if key not in known:
            raise UserError(f"unknown key '{key}' under {where}; {closest(key, known)}")


def require_mapping(section: object, where: str) -> Mapping[str, Any]:
    """Return `section`, or raise ValueError where it is not a dict."""
    if not isinstance(section, Mapping):
        raise UserError(f"{where} must be a dict, not {section!r}")
    return section


def split_type(section: object, known: Iterable[str], where: str) -> tuple[str, dict[str, Any]]:
    """Take `type` out of dict(type=..., ...): (the type, the other keys)."""
    options = dict(require_mapping(section, where))
    if "type" not in options:
        raise UserError(f"key 'type' is missing under {where}; known: {', '.join(known)}")
    return options.pop("type"), options


def require_choice(value: object, known: Iterable[str], where: str) -> None:
    """Raise ValueError where `value` is not among `known`."""
    known = list(known)
    if value not in known:
        raise UserError(f"unknown {where} {value!r}; {closest(str(value), known)}")


def require_int(value: object, where: str, minimum: int) -> None:
    """Raise ValueError where `value` is not an integer >= `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise UserError(f"{where} must be an integer >= {minimum}, not {value!r}")


def require_bool(value: object, where: str) -> None:
    """Raise ValueError where `value` is neither True nor False."""
    if not isinstance(value, bool):
        raise UserError(f"{where} must be True or False, not {value!r}")


def require_text(value: object, where: str) -> None:
    """Raise ValueError where `value` is not a string, or is empty."""
    if not isinstance(value, str) or not value:
        raise UserError(f"{where} must be a non-empty string, not {value!r}")


def require_number(value: object, where: str) -> None:
    """Raise ValueError where `value` is not a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{where} must be a finite number, not {value!r}")
