"""`errors.json`: which errors a tested detector makes; see `detnas.evaluation.error_analysis`."""

from pathlib import Path
from typing import Annotated

import msgspec

from detnas.search.choice_file import read_choice, save_choice
from detnas.search.shown_images import ShownImage, require_classes
from search_space.errors import SpaceError

ERRORS_FILE = "errors.json"
FORMAT, VERSION = "detnas-errors", 1


class ErrorType(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of TIDE's types of error (Bolya et al., ECCV 2020).

    Attributes:
        name: "Cls", "Loc", "Both", "Dupe", "Bkg" or "Miss".
        count: of detections, or of objects for "Miss", over all scores.
        gain: average precision that a detector without such errors would have more.
    """

    name: str
    count: int
    gain: float


class DetectionErrors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `errors.json`.

    Attributes:
        images: of the test split.
        iou: from which a detection is at an object's place.
        background_iou: below which it is at no object's place.
        score_threshold: of the detections in `confusion` and `worst`; `types` take all of them.
        classes: their names.
        objects: how many the split has of each class, without crowds.
        average_precision: at `iou`, from which `types` count their gains.
        types: TIDE's.
        confusion: true class by detected class, (classes + 1, classes + 1); the last row are
            detections of no object, the last column objects that were not detected.
        worst: the images with the lowest F1 score at the threshold, the worst one first.
        made_by: the library and its version.
    """

    images: int
    iou: float
    background_iou: float
    score_threshold: float
    classes: tuple[str, ...]
    objects: tuple[int, ...]
    average_precision: float
    types: Annotated[tuple[ErrorType, ...], msgspec.Meta(min_length=1)]
    confusion: tuple[tuple[int, ...], ...]
    worst: tuple[ShownImage, ...]
    made_by: str
    format: str = FORMAT
    version: int = VERSION

    def __post_init__(self) -> None:
        classes = len(self.classes)
        if len(self.objects) != classes:
            raise SpaceError(f"objects of {len(self.objects)} classes, of {classes}")
        if {len(self.confusion), *map(len, self.confusion)} != {classes + 1}:
            raise SpaceError(f"confusion must have {classes + 1} rows and as many columns")
        require_classes(self.worst, classes)

    def save(self, path: Path) -> None:
        """Write the JSON file, whole or not at all."""
        save_choice(self, path)


def read_errors(folder: Path) -> DetectionErrors | None:
    """The file in the folder of a test; None where there is none.

    Raises:
        UserError: it is damaged or of another version.
    """
    return read_choice(folder / ERRORS_FILE, DetectionErrors, FORMAT, VERSION, "errors")
