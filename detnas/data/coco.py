"""Reads and checks the structure of COCO annotation files.

`detnas.data.checks` checks that the images exist. As in COCO itself, category ids may have gaps,
images may have no boxes, and boxes may be marked as crowds.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from detnas.data.coco_records import (
    AnnotationRecord,
    CategoryRecord,
    ImageRecord,
    decoded,
    decoded_annotations,
    load_records,
    unique_ids,
)
from detnas.errors import MissingFileError


@dataclass(frozen=True)
class CocoSummary:
    """Summary of an annotation file; categories and file names are in the file's order."""

    ann_file: Path
    categories: tuple[str, ...]
    file_names: tuple[str, ...]
    boxes: int
    crowd_boxes: int

    @property
    def images(self) -> int:
        """Number of images, including those without boxes."""
        return len(self.file_names)


def read_coco(ann_file: Path) -> CocoSummary:
    """Read and check an annotation file.

    Raises:
        MissingFileError: the file does not exist.
        UserError: the file is not JSON, lacks images, annotations or categories, repeats an id,
            refers to an unknown image or category, or has a box that is not four finite numbers.
    """
    if not ann_file.is_file():
        raise MissingFileError(f"annotation file {ann_file} does not exist; correct `ann_file`")
    state = ann_file.stat()
    return _read(ann_file, state.st_mtime_ns, state.st_size)


# Several checks before training read the same file, which may have hundreds of megabytes.
@lru_cache(maxsize=16)
def _read(ann_file: Path, modified_ns: int, size: int) -> CocoSummary:
    records = load_records(ann_file, allow_nan=True)
    images = list(decoded(ann_file, "images", records.images, ImageRecord))
    categories = list(decoded(ann_file, "categories", records.categories, CategoryRecord))
    image_ids = unique_ids(ann_file, "images", images)
    category_ids = unique_ids(ann_file, "categories", categories)
    annotations = decoded_annotations(
        ann_file, records.annotations, AnnotationRecord, image_ids, category_ids
    )
    crowd = sum(1 for annotation in annotations if annotation.iscrowd)
    return CocoSummary(
        ann_file=ann_file,
        categories=tuple(str(category.name) for category in categories),
        file_names=tuple(image.file_name for image in images),
        boxes=len(records.annotations) - crowd,
        crowd_boxes=crowd,
    )
