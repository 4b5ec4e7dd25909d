"""Typed values from plain data such as JSON and config sections; each mistake is one line.

Types are msgspec's: structs with `forbid_unknown_fields`, `Annotated`, `Literal`.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from search_space.errors import SpaceError

T = TypeVar("T")

_PATH = re.compile(r"^(.*?)(?: - at `(?:key in )?\$(.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_WORDS = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "True or False",
    "array": "a list",
    "object": "a dict",
    "null": "None",
}


def did_you_mean(name: object, known: Iterable[str], list_all: bool = False) -> str:
    """The hint for a misspelt name: "did you mean 'x'?", the known names, or both if `list_all`."""
    names = list(known)
    match = difflib.get_close_matches(str(name), names, n=1)
    hints = [f"did you mean '{match[0]}'?"] if match else []
    if list_all or not match:
        hints.append(f"known: {', '.join(names)}")
    return " ".join(hints)


def convert(value: object, kind: type[T], where: str = "") -> T:
    """Plain data as a value of type `kind`, such as a struct.

    Args:
        value: dicts, lists, tuples, strings, numbers.
        kind: any type that msgspec converts to. `Meta(extra={"form": "[height, width]"})` says
            what a value must look like where msgspec's own words are not enough.
        where: dotted name of the value, such as "search.executor"; messages begin their keys
            with it.

    Raises:
        SpaceError: an unknown key, a missing one, or a value of the wrong type or range. The
            message names the key, the value and what it must be.
        ValueError: whatever the struct's own `__post_init__` raises, unchanged.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        if error.__cause__ is not None:  # raised by a struct itself
            raise error.__cause__ from None
        raise SpaceError(_explain(str(error), value, kind, where)) from None


def check_fields(struct: msgspec.Struct) -> None:
    """Raise SpaceError where a field of a struct has a value that its type does not allow.

    For the `__post_init__` of structs that code makes too: msgspec checks only what it converts.
    """
    for field in msgspec.structs.fields(struct):
        convert(getattr(struct, field.name), field.type, field.name)


def _explain(text: str, value: Any, kind: Any, where: str) -> str:
    match = _PATH.match(text)
    assert match is not None, text
    problem, path = match[1], match[2] or ""
    info: Any = inspect.type_info(kind)
    for name, index in _STEP.findall(path):
        info, value = _step(info, value, name, index)
        where = f"{where}.{name}" if where and name else f"{where}{name or f'[{index}]'}"
    where = where or "the document"
    field = re.search(r"(unknown|required) field `(.*)`", problem)
    if field is not None and field[1] == "unknown":
        known = [item.encode_name for item in getattr(_pick(info, value), "fields", ())]
        return f"unknown key '{field[2]}' under {where}; {did_you_mean(field[2], known)}"
    if field is not None:
        return f"key '{field[2]}' is missing under {where}; add it"
    if problem.startswith("Invalid "):
        return f"unknown {where} {value!r}; {did_you_mean(value, _allowed(info))}"
    if form := (getattr(info, "extra", None) or {}).get("form"):
        return f"{where} must be {form}, not {value!r}"
    expected = re.match(r"Expected `(.*?)`(.*?)(?:, got .*)?$", problem)
    if expected is None:
        return f"{where}: {problem}, not {value!r}"
    words = " or ".join(_WORDS.get(name, name) for name in expected[1].split(" | "))
    bound = expected[2].removesuffix(".0")
    if bound == " of length >= 1":
        words, bound = words.replace("a ", "a non-empty ", 1), ""
    return f"{where} must be {words}{bound}, not {value!r}"


def _members(info: Any) -> list[Any]:
    """The types of a union, or the one type, without their metadata."""
    if isinstance(info, inspect.Metadata):
        return _members(info.type)
    if isinstance(info, inspect.UnionType):
        return [member for each in info.types for member in _members(each)]
    return [info]


def _pick(info: Any, value: Any) -> Any:
    """The member of a union that a value is of, by its shape and tag."""
    members = _members(info)
    if isinstance(value, Mapping):
        structs = [member for member in members if isinstance(member, inspect.StructType)]
        tagged = [member for member in structs if value.get(member.tag_field) == member.tag]
        return next(iter(tagged or structs or members))
    lists = [m for m in members if hasattr(m, "item_type") or hasattr(m, "item_types")]
    return lists[0] if lists and isinstance(value, list | tuple) else members[0]


def _step(info: Any, value: Any, name: str, index: str) -> tuple[Any, Any]:
    """Type and value one step down a path; None where they cannot be told."""
    picked = _pick(info, value)
    if name:
        types = {item.encode_name: item.type for item in getattr(picked, "fields", ())}
        inner = value.get(name) if isinstance(value, Mapping) else None
        if name == getattr(picked, "tag_field", None):
            return info, inner
        return types.get(name, getattr(picked, "value_type", None)), inner
    if not index.isdecimal():
        return getattr(picked, "value_type", None), None
    items = getattr(picked, "item_types", None)
    item = items[int(index)] if items else getattr(picked, "item_type", None)
    return item, value[int(index)]


def _allowed(info: Any) -> list[str]:
    """The values of literals, and the tags of structs, in a type."""
    allowed = []
    for member in _members(info):
        tags = [member.tag] if isinstance(member, inspect.StructType) else []
        allowed += [str(item) for item in (*tags, *getattr(member, "values", ()))]
    return allowed
