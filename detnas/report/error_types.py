"""What the page says of the errors of the tested detector."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detnas.console import CLASS_SUFFIX
from detnas.search.detection_errors import DetectionErrors

MATRIX_CLASSES = 12
"""A confusion matrix of more classes is listed by its largest entries."""
LISTED = 20

TYPES = {
    "Miss": ("missed", "an object without any detection, of any score, that another type counts"),
    "Loc": ("localisation", "the right class, but an IoU below {iou:g}"),
    "Cls": ("class", "at an object's place, but of the wrong class"),
    "Both": ("class and localisation", "the wrong class, and an IoU below {iou:g}"),
    "Dupe": ("duplicate", "of an object that a better detection has found"),
    "Bkg": ("background", "an IoU below {background:g} with every object"),
}


@dataclass(frozen=True)
class ClassPrecision:
    """The average precision of one class; `objects` in the test split is None if not counted."""

    name: str
    precision: float
    objects: int | None


def class_precisions(
    metrics: Mapping[str, Any], errors: DetectionErrors | None
) -> list[ClassPrecision]:
    """The average precision of each class that the test measured, the highest first."""
    objects = dict(zip(errors.classes, errors.objects, strict=True)) if errors else {}
    found = []
    for key, value in metrics.items():
        if key.endswith(CLASS_SUFFIX) and isinstance(value, int | float):
            name = key.partition("/")[2].removesuffix(CLASS_SUFFIX)
            found.append(ClassPrecision(name, value, objects.get(name)))
    return sorted(found, key=lambda each: -each.precision)


def type_rows(errors: DetectionErrors) -> list[tuple[str, str, int, float]]:
    """Name, explanation, count and gain of each type of error, the largest gain first."""
    rows = []
    for each in sorted(errors.types, key=lambda one: -one.gain):
        name, meaning = TYPES.get(each.name, (each.name, ""))
        meaning = meaning.format(iou=errors.iou, background=errors.background_iou)
        rows.append((name, meaning, each.count, each.gain))
    return rows


def types_sentence(errors: DetectionErrors) -> str:
    """Which type costs most."""
    name, _, _, gain = type_rows(errors)[0]
    base = errors.average_precision
    if gain <= 0:
        return f"Average precision at IoU {errors.iou:g} is {base:.3f}; no type of error costs any."
    return (
        f"Average precision at IoU {errors.iou:g} is {base:.3f}. Without {name} errors it would be "
        f"{gain:.3f} higher, more than without any other type."
    )


def confusions(errors: DetectionErrors) -> list[tuple[str, str, int]]:
    """True class, detected class and count of the most frequent confusions of two classes."""
    names = errors.classes
    found = [
        (names[truth], names[other], count)
        for truth, row in enumerate(errors.confusion[:-1])
        for other, count in enumerate(row[:-1])
        if truth != other and count
    ]
    return sorted(found, key=lambda each: -each[2])[:LISTED]
