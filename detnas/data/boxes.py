"""The boxes of a dataset as one array, whatever its format, and their numbers by class."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# One record per box: the position of its image, the position of its class, and whether counts omit
# it (a crowd box of COCO, a difficult one of VOC).
BOX = np.dtype([("image", np.int64), ("category", np.int64), ("ignored", np.bool_)])
Boxes = NDArray[np.void]
Mask = NDArray[np.bool_]


class Counts(NamedTuple):
    """A number in the train part and in the search part."""

    train: int
    search: int


class ClassCounts(NamedTuple):
    """Boxes, images with a box and ignored boxes of one class, or of all, in both parts."""

    name: str
    boxes: Counts
    images: Counts
    ignored: Counts

    @property
    def share(self) -> float | None:
        """The search part's share of the boxes of this class; None if the class has no boxes."""
        return self.boxes.search / sum(self.boxes) if any(self.boxes) else None


def count_classes(names: Sequence[str], boxes: Boxes, search: Mask) -> list[ClassCounts]:
    """Count each class in both parts, and in a last row all classes and images.

    Args:
        names: of the classes.
        boxes: `BOX` records (boxes,).
        search: (images,), which images are in the search part.
    """

    def count(images: NDArray[np.int64], categories: NDArray[np.int64]) -> NDArray[np.int64]:
        places = 2 * categories + search[images]
        return np.bincount(places, minlength=2 * len(names)).reshape(-1, 2)

    ignored = boxes[boxes["ignored"]]
    counted = boxes[~boxes["ignored"]]
    images, categories = counted["image"], counted["category"]
    pairs = np.divmod(np.unique(images * len(names) + categories), len(names))
    tables = [
        count(images, categories),
        count(*pairs),
        count(ignored["image"], ignored["category"]),
    ]
    totals = [tables[0].sum(0), [np.sum(~search), np.sum(search)], tables[2].sum(0)]
    columns = [np.vstack(pair).tolist() for pair in zip(tables, totals, strict=True)]
    return [
        ClassCounts(name, *(Counts(*numbers) for numbers in row))
        for name, *row in zip([*names, "all"], *columns, strict=True)
    ]
