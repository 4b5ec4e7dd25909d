"""Writes the Python text of a detector's file, as a user would write it."""

from collections.abc import Iterable, Mapping
from pathlib import Path as File
from typing import Any

from detnas.init.detectors.model import Changes
from detnas.init.detectors.neck import STRIDES, Path

WIDTH = 100
TITLES = {
    "retinanet": "RetinaNet with separate batch norm for every level",
    "faster-rcnn": "Faster R-CNN with FPN",
    "mask-rcnn": "Mask R-CNN with FPN: boxes and masks",
    "efficientdet": "EfficientDet: BiFPN and its head",
}


def own_text(base: str, name: str) -> str:
    """The lines of a detector of DetNAS's own configs."""
    return f'# {TITLES[name]}.\n_base_ = ["{base}"]\n'


def inheriting_text(base: str, changes: Changes, imports: Iterable[str] = ()) -> str:
    """The lines that inherit a config of mmdet's kind, and change what differs.

    Args:
        base: what `_base_` names.
        changes: values within dicts are merged, those within lists are set in place.
        imports: modules that register parts of the config's own.
    """
    strides = ", ".join(str(STRIDES[index]) for index in changes.out_indices)
    lines = [
        f"# {changes.kind} as in {File(base).name}, over any backbone of four stages.",
        f"_base_ = [{_quoted(base)}]",
        'for __key in [key for key in _base_ if key != "model"]:',
        "    _base_.pop(__key)  # data, schedule, runtime",
    ]
    modules = list(imports)
    if modules:
        lines.insert(1, "import importlib\n")
        lines += [f"importlib.import_module({_quoted(m)})  # registers its parts" for m in modules]
    for path, reason in changes.removed.items():
        lines.append(f"_base_.{_written(path[:-1])}.pop({_quoted(str(path[-1]))})  # {reason}")
    lines += _in_place({p: v for p, v in changes.values.items() if _list_at(p) is not None})
    lines += [
        'norm_cfg = dict(type="SyncBN")  # of the backbone; plain batch norm on a CPU',
        f"out_indices = {changes.out_indices}  # maps at "
        f"{'stride' if len(changes.out_indices) == 1 else 'strides'} {strides}",
    ]
    merged: dict[str, Any] = {"data_preprocessor": {}, "backbone": "{backbone}"}
    for path, value in changes.values.items():
        if _list_at(path) is None:
            _put(merged, path, value)
    return "\n".join([*lines, _assigned("model", merged)]) + "\n"


def _in_place(values: Mapping[Path, Any]) -> list[str]:
    """Assignments to items of lists; a loop where all items of a list get the same."""
    loops: dict[tuple[Path, Path, str], int] = {}
    for path, value in values.items():
        at = _list_at(path)
        assert at is not None
        key = (path[:at], path[at + 1 :], repr(value))
        loops[key] = loops.get(key, 0) + 1
    lines = []
    for path, value in values.items():
        at = _list_at(path)
        key = (path[:at], path[at + 1 :], repr(value))  # type: ignore[operator]
        if loops.get(key) == 1:
            lines.append(f"_base_.{_written(path)} = {_literal(value)}")
        elif loops.pop(key, 0):
            lines.append(f"for __item in _base_.{_written(key[0])}:")
            lines.append(f"    __item.{_written(key[1], prefix='')} = {_literal(value)}")
    return lines


def _list_at(path: Path) -> int | None:
    """Where a path enters its first list."""
    return next((i for i, key in enumerate(path) if isinstance(key, int)), None)


def _written(path: Path, prefix: str = "model") -> str:
    text = prefix + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


def _put(into: dict[str, Any], path: Path, value: Any) -> None:
    for key in path[:-1]:
        into = into.setdefault(str(key), {})
    into[str(path[-1])] = value


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return repr(value)


def _assigned(name: str, value: Any, depth: int = 0, end: str = "") -> str:
    """`name=value`, in one line if it fits; dicts are written as calls."""
    indent, equals = "    " * depth, "=" if depth else " = "
    if not isinstance(value, dict):
        return f"{indent}{name}{equals}{_literal(value)}{end}"
    line = f"{indent}{name}{equals}{_called(value)}{end}"
    if depth and len(line) <= WIDTH:
        return line
    inner = [_assigned(key, item, depth + 1, ",") for key, item in value.items()]
    return "\n".join([f"{indent}{name}{equals}dict(", *inner, f"{indent}){end}"])


def _called(value: Any) -> str:
    if not isinstance(value, dict):
        return _literal(value)
    return f"dict({', '.join(f'{key}={_called(item)}' for key, item in value.items())})"
