"""Images with their detections and ground truth, as the report shows them: a JSON file of all.

The file holds small copies of the images, so that a page can be made where the data is not.
"""

from pathlib import Path
from typing import Annotated

import msgspec

from detnas.search.choice_file import read_choice, save_choice

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

    def save(self, path: Path) -> None:
        """Write the JSON file, whole or not at all."""
        save_choice(self, path)


def read_shown(folder: Path) -> ShownImages | None:
    """The file in an experiment's folder; None where there is none.

    Raises:
        UserError: it is damaged or of another version.
    """
    return read_choice(folder / SHOWN_FILE, ShownImages, FORMAT, VERSION, "detections")
