"""What a COCO annotation file holds: images and their sizes, classes and their boxes' sizes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detnas.data.coco import read_coco, read_coco_file
from detnas.data.coco_records import AnnotationRecord, decoded
from detnas.data.conversion import used_classes


@dataclass(frozen=True)
class DataStatistics:
    """Of one file.

    Attributes:
        classes: the names of the classes that have usable boxes, in the file's order.
        unused: those of the classes that have none.
        boxes: of each class, how many usable ones.
        medians: of each class, the root of the area of its median box, in pixels of the files.
        images: how many.
        empty: images without a box.
        sides: the median width and height of the images in pixels.
        has_masks: whether annotations have masks.
    """

    classes: tuple[str, ...]
    unused: tuple[str, ...]
    boxes: tuple[int, ...]
    medians: tuple[float, ...]
    images: int
    empty: int
    sides: tuple[int, int]
    has_masks: bool

    @property
    def longest(self) -> int:
        """The median longer side of the images."""
        return max(self.sides)


def coco_statistics(ann_file: Path, image_root: Path) -> DataStatistics:
    """Count what is in a file, as `read_coco` mends it.

    Raises:
        UserError: as `read_coco`.
    """
    summary = read_coco(ann_file, image_root)
    file = read_coco_file(ann_file, image_root)
    roots = np.array(
        [
            max(0.0, each.bbox[2] * each.bbox[3]) ** 0.5
            for each in decoded(ann_file, "annotations", file.records.annotations, AnnotationRecord)
        ]
    )
    counted = ~file.boxes["ignored"]
    of_class = file.boxes["category"]
    classes, unused = used_classes(ann_file, image_root)
    used = [number for number, count in enumerate(summary.by_class) if count]
    sizes = np.array(summary.sizes, int).reshape(-1, 2)
    return DataStatistics(
        classes=classes,
        unused=unused,
        boxes=tuple(summary.by_class[number] for number in used),
        medians=tuple(float(np.median(roots[counted & (of_class == i)])) for i in used),
        images=len(summary.file_names),
        empty=len(summary.file_names) - len(np.unique(file.boxes["image"])),
        sides=_median_size(sizes),
        has_masks=summary.has_masks,
    )


def _median_size(sizes: np.ndarray) -> tuple[int, int]:
    if not len(sizes):
        return 0, 0
    width, height = np.median(sizes, axis=0)
    return int(width), int(height)


def class_lines(statistics: DataStatistics, most: int = 30) -> Sequence[str]:
    """One line per class: its boxes, and how large the median one is."""
    rows = list(zip(statistics.classes, statistics.boxes, statistics.medians, strict=True))
    width = max((len(name) for name, _, _ in rows[:most]), default=0)
    lines = [
        f"{name:<{width}}  {boxes:>7,} boxes, the median one {median:.0f} pixels"
        for name, boxes, median in rows[:most]
    ]
    if len(rows) > most:
        lines.append(f"... and {len(rows) - most} more classes")
    return lines
