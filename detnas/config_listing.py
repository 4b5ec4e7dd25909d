"""Print a resolved config as a Python config file, or what differs between two configs."""

import json
import keyword
import math
from collections.abc import Iterator, Mapping
from typing import Any

from detnas.errors import UserError

WIDTH = 100
INDENT = 4
NOT_SET = "(not set)"


def config_text(values: Mapping[str, Any]) -> str:
    """A config as Python code, which mmengine's `Config.fromfile` reads back to the same values.

    Raises:
        UserError: a value is not a number, string, list, tuple, dict, bool or None.
    """
    return "".join(f"{key} = {_code(value, 0, len(key) + 3)}\n" for key, value in values.items())


def _code(value: Any, indent: int, column: int) -> str:
    """A value as code that starts at a column, over several lines where one is too short."""
    line = _one_line(value)
    inner = indent + INDENT
    if column + len(line) < WIDTH or not isinstance(value, Mapping | list | tuple) or not value:
        return line
    items = [
        f"{' ' * inner}{prefix}{_code(item, inner, inner + len(prefix))},\n"
        for prefix, item in _items(value)
    ]
    opening, closing = _brackets(value)
    return f"{opening}\n{''.join(items)}{' ' * indent}{closing}"


def _one_line(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple):
        opening, closing = _brackets(value)
        items = ", ".join(prefix + _one_line(item) for prefix, item in _items(value))
        comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
        return f"{opening}{items}{comma}{closing}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    raise UserError(f"a config file cannot hold {value!r}, of type {type(value).__name__}")


def _brackets(value: Mapping[Any, Any] | list[Any] | tuple[Any, ...]) -> tuple[str, str]:
    if isinstance(value, Mapping):
        return ("dict(", ")") if _are_names(value) else ("{", "}")
    return ("[", "]") if isinstance(value, list) else ("(", ")")


def _items(value: Mapping[Any, Any] | list[Any] | tuple[Any, ...]) -> list[tuple[str, Any]]:
    """The items of a container, each after the code that precedes it."""
    if not isinstance(value, Mapping):
        return [("", item) for item in value]
    if _are_names(value):
        return [(f"{key}=", item) for key, item in value.items()]
    return [(f"{_one_line(key)}: ", item) for key, item in value.items()]


def _are_names(value: Mapping[Any, Any]) -> bool:
    return all(
        isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key) for key in value
    )


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """A line for each dotted key that differs, as `model.bbox_head.stacked_convs: 4 -> 1`.

    Lists of as many dicts are compared item by item, other lists and tuples as a whole.
    """
    return [f"{key}: {old} -> {new}" for key, old, new in _differing(before, after, "")]


def _differing(before: Any, after: Any, key: str) -> Iterator[tuple[str, str, str]]:
    prefix = f"{key}." if key else ""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in {**before, **after}:
            if name not in after:
                yield f"{prefix}{name}", _one_line(before[name]), NOT_SET
            elif name not in before:
                yield f"{prefix}{name}", NOT_SET, _one_line(after[name])
            else:
                yield from _differing(before[name], after[name], f"{prefix}{name}")
    elif _is_of_dicts(before) and _is_of_dicts(after) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _differing(old, new, f"{prefix}{index}")
    elif (old := _one_line(before)) != (new := _one_line(after)):
        yield key, old, new


def _is_of_dicts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)
