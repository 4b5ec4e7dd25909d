"""Reads YOLO's label files: a line for each object, `class cx cy width height` or a polygon.

All values are shares of the width and height of the image.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detnas.errors import UserError

_EXCESS = 0.01
"""How far values may lie outside of 0 to 1, as exporters round; they are clipped."""
_BOX = 5
_TRIANGLE = 7


@dataclass(frozen=True)
class YoloObject:
    """A box, left, top, right, bottom, and its polygon (x, y, x, y, ...), if it has one.

    All are within 0 and 1. A box may have no area.
    """

    category: int
    box: tuple[float, float, float, float]
    polygon: tuple[float, ...] = ()


def read_yolo_labels(path: Path, classes: Sequence[str]) -> tuple[YoloObject, ...]:
    """The objects of a label file, in its order; none if it does not exist.

    Of lines that are repeated, one counts.

    Raises:
        UserError: a line has the wrong number of columns, something that is not a number, a class
            that there is not, or a value outside of 0 to 1.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except FileNotFoundError:
        return ()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a text file ({error}); correct or remove it") from error
    objects: dict[YoloObject, None] = {}
    for number, line in enumerate(lines, 1):
        if columns := line.split():
            try:
                objects[_object(columns, classes)] = None
            except UserError as error:
                raise UserError(f"{path}, line {number}: {error}") from None
    return tuple(objects)


def _object(columns: Sequence[str], classes: Sequence[str]) -> YoloObject:
    if len(columns) != _BOX and (len(columns) < _TRIANGLE or len(columns) % 2 == 0):
        raise UserError(
            f"has {len(columns)} columns; write `class cx cy width height`, or a class and the x "
            "and y of three or more points"
        )
    first, *others = map(_number, columns)
    category = int(first)
    if category != first or not 0 <= category < len(classes):
        raise UserError(
            f"has class {columns[0]}; there are {len(classes)} classes, numbered from 0 to "
            f"{len(classes) - 1}: correct it, or the names"
        )
    for column, value in zip(columns[1:], others, strict=True):
        if not -_EXCESS <= value <= 1 + _EXCESS:
            raise UserError(
                f"has the value {column}, which is outside of 0 to 1; write shares of the image's "
                "width and height"
            )
    if len(columns) == _BOX:
        x, y, width, height = others
        if width < 0 or height < 0:
            raise UserError(f"has a box of {columns[3]} by {columns[4]}; correct it")
        sides = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        left, top, right, bottom = map(_clipped, sides)
        return YoloObject(category, (left, top, right, bottom))
    points = tuple(map(_clipped, others))
    xs, ys = points[::2], points[1::2]
    return YoloObject(category, (min(xs), min(ys), max(xs), max(ys)), points)


def _number(column: str) -> float:
    try:
        value = float(column)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"has {column!r} where a number must be; correct it")
    return value


def _clipped(value: float) -> float:
    return min(max(value, 0.0), 1.0)
