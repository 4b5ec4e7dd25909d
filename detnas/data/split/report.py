"""Counts and shares of the classes in both parts of a split, as data and as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# One record per box: the position of its image, the position of its class, and whether counts omit
# it (a crowd box of COCO, a difficult one of VOC).
BOX = np.dtype([("image", np.int64), ("category", np.int64), ("ignored", np.bool_)])
Boxes = NDArray[np.void]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class PartCounts:
    """Counts of one class, or of all, in one part: boxes, images with a box, ignored boxes."""

    boxes: int
    images: int
    ignored: int


@dataclass(frozen=True)
class ClassCounts:
    """Counts of one class in both parts."""

    name: str
    train: PartCounts
    search: PartCounts

    @property
    def share(self) -> float | None:
        """The search part's share of the boxes of this class; None if the class has no boxes."""
        boxes = self.train.boxes + self.search.boxes
        return self.search.boxes / boxes if boxes else None


@dataclass(frozen=True)
class SplitReport:
    """The result of `detnas.data.split.split`.

    Attributes:
        seed: of the draw.
        train_images, search_images: number of images of each part, including those without boxes.
        classes: counts of each class, in the annotation files' order (VOC: by name).
        set_aside: the name of boxes that are not counted: "crowd" or "difficult".
        files: the files written.
        notes: remarks, one line each, such as on renumbered ids.
    """

    seed: int
    train_images: int
    search_images: int
    classes: tuple[ClassCounts, ...]
    set_aside: str
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    @property
    def image_share(self) -> float:
        """The search part's share of the images."""
        return self.search_images / (self.train_images + self.search_images)

    @property
    def total(self) -> ClassCounts:
        """Counts of all classes together; images without boxes are included."""
        return ClassCounts(
            "all",
            _total([row.train for row in self.classes], self.train_images),
            _total([row.search for row in self.classes], self.search_images),
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """The classes that have no counted box in the search part."""
        return tuple(row.name for row in self.classes if not row.search.boxes)

    @property
    def largest_deviation(self) -> tuple[str, float] | None:
        """The class whose share differs most from that of the images, and the relative deviation.

        At -0.2 the class's share is a fifth too small; at -1 the search part lacks the class. None
        if there are no boxes.
        """
        deviations = [
            (row.name, row.share / self.image_share - 1)
            for row in self.classes
            if row.share is not None
        ]
        return max(deviations, key=lambda pair: abs(pair[1]), default=None)

    def to_dict(self) -> dict[str, Any]:
        """The report for JSON; shares and deviations are fractions, or None if undefined."""
        largest = self.largest_deviation
        return {
            "seed": self.seed,
            "images": {
                "train": self.train_images,
                "search": self.search_images,
                "share": self.image_share,
            },
            "total": self._row(self.total),
            "classes": [self._row(row) for row in self.classes],
            "largest_deviation": largest
            and {"class": largest[0], "relative_to_share_of_images": largest[1]},
            "missing_in_search": list(self.missing),
            "set_aside": self.set_aside,
            "notes": list(self.notes),
            "files": [str(path) for path in self.files],
        }

    def _row(self, row: ClassCounts) -> dict[str, Any]:
        return {
            "class": row.name,
            "boxes": {"train": row.train.boxes, "search": row.search.boxes, "share": row.share},
            "images": {"train": row.train.images, "search": row.search.images},
            self.set_aside: {"train": row.train.ignored, "search": row.search.ignored},
        }


def _total(parts: Sequence[PartCounts], images: int) -> PartCounts:
    boxes = sum(part.boxes for part in parts)
    return PartCounts(boxes, images, sum(part.ignored for part in parts))


def count_classes(names: Sequence[str], boxes: Boxes, search: Mask) -> tuple[ClassCounts, ...]:
    """Count the boxes of each class in both parts.

    Args:
        names: of the classes.
        boxes: `BOX` records (boxes,).
        search: (images,), which images are in the search part.
    """
    in_search = search[boxes["image"]]
    train_counts = _count(len(names), boxes[~in_search])
    search_counts = _count(len(names), boxes[in_search])
    return tuple(map(ClassCounts, names, train_counts, search_counts))


def _count(classes: int, boxes: Boxes) -> list[PartCounts]:
    counted = boxes[~boxes["ignored"]]
    held = np.unique(counted["image"] * classes + counted["category"]) % classes
    columns = (counted["category"], held, boxes["category"][boxes["ignored"]])
    counts = [np.bincount(column, minlength=classes).tolist() for column in columns]
    return [PartCounts(*row) for row in zip(*counts, strict=True)]


def split_table(report: SplitReport) -> str:
    """The report as an aligned table, one line per class, with remarks and warnings below."""
    rows = [["class", "boxes: train", "search", "share", "images: train", "search"]]
    rows += [_cells(row) for row in (*report.classes, report.total)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [_aligned(row, widths) for row in rows]
    return "\n".join([*lines, "", *(f"  {line}" for line in _remarks(report))])


def _cells(row: ClassCounts) -> list[str]:
    counts = (row.train.boxes, row.search.boxes, row.train.images, row.search.images)
    train, search, *images = (f"{count:,}" for count in counts)
    return [row.name, train, search, "-" if row.share is None else _percent(row.share), *images]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = zip(row, widths, strict=True)
    return "  ".join([f"  {first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in rest)])


def _percent(share: float, sign: str = "") -> str:
    return f"{100 * share:{sign}.1f} %"


def _remarks(report: SplitReport) -> list[str]:
    total = report.total
    images = report.train_images + report.search_images
    remarks = [
        f"{report.set_aside} boxes, not counted: {total.train.ignored:,} in train, "
        f"{total.search.ignored:,} in search",
        f"{report.search_images:,} of {images:,} images ({_percent(report.image_share)}) drawn "
        f"with seed {report.seed}",
    ]
    if report.largest_deviation:
        name, deviation = report.largest_deviation
        remarks.append(
            f"largest deviation from the images' share: {name}, by {_percent(deviation, '+')}"
        )
    remarks += report.notes
    if report.missing:
        listed = ", ".join(map(repr, report.missing))
        remarks.append(f"warning: the search split has no box of {listed}; take more images")
    return remarks
