"""Images with their detections and ground truth, as the report shows them: a JSON file of all.

The file holds small copies of the images, so that a page can be made where the data is not.
"""

from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from typing import Annotated

import msgspec

from detnas.search.choice_file import read_choice, save_choice
from search_space.errors import SpaceError

SHOWN_FILE = "detections.json"
FORMAT, VERSION = "detnas-detections", 1

Box = tuple[float, float, float, float]


class ShownImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image and what is in it.

    Attributes:
        name: of the file, without its folder.
        width: of the image, in pixels, after the turn that its EXIF orientation asks for.
        height: likewise.
        jpeg: a small copy.
        boxes: detected ones as x1, y1, x2, y2, in pixels of the image.
        labels: their classes, as numbers.
        scores: theirs, from 0 to 1.
        truth_boxes: of the objects.
        truth_labels: their classes.
        missed: objects without a detection of their class; None where that was not counted.
        wrong: detections that are no object's; None where that was not counted.
    """

    name: str
    width: Annotated[int, msgspec.Meta(ge=1)]
    height: Annotated[int, msgspec.Meta(ge=1)]
    jpeg: bytes
    boxes: tuple[Box, ...]
    labels: tuple[int, ...]
    scores: tuple[float, ...]
    truth_boxes: tuple[Box, ...]
    truth_labels: tuple[int, ...]
    missed: int | None = None
    wrong: int | None = None

    def __post_init__(self) -> None:
        counts = ((self.boxes, self.labels), (self.boxes, self.scores))
        for boxes, values in (*counts, (self.truth_boxes, self.truth_labels)):
            if len(boxes) != len(values):
                raise SpaceError(f"{self.name}: {len(boxes)} boxes with {len(values)} labels")
        sides = [side for box in (*self.boxes, *self.truth_boxes) for side in box]
        if not all(map(isfinite, (*sides, *self.scores))):
            raise SpaceError(f"{self.name}: a box or a score that is no finite number")


def require_classes(images: Iterable[ShownImage], classes: int) -> None:
    """Raise SpaceError where a label of the images is none of so many classes."""
    for image in images:
        for label in (*image.labels, *image.truth_labels):
            if not 0 <= label < classes:
                raise SpaceError(f"{image.name}: label {label} is none of the {classes} classes")


class ShownImages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `detections.json`.

    Attributes:
        classes: their names.
        score_threshold: detections with a lower score were left out.
        images: evenly spaced ones of the test split.
    """

    classes: tuple[str, ...]
    score_threshold: float
    images: tuple[ShownImage, ...]
    format: str = FORMAT
    version: int = VERSION

    def __post_init__(self) -> None:
        require_classes(self.images, len(self.classes))

    def save(self, path: Path) -> None:
        """Write the JSON file, whole or not at all."""
        save_choice(self, path)


def read_shown(folder: Path) -> ShownImages | None:
    """The file in an experiment's folder; None where there is none.

    Raises:
        UserError: it is damaged or of another version.
    """
    return read_choice(folder / SHOWN_FILE, ShownImages, FORMAT, VERSION, "detections")
