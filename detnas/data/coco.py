"""Reads and checks COCO annotation files, and the images and classes that they name.

As in COCO itself, category ids may have gaps, images may have no boxes, and boxes may be marked as
crowds.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from detnas.data.boxes import BOX, Boxes
from detnas.data.checks import Split, quoted, refuse_missing, refuse_string
from detnas.data.coco_records import (
    AnnotationRecord,
    CategoryRecord,
    CocoRecords,
    Id,
    ImageRecord,
    NumberedAnnotation,
    decoded,
    load_records,
)
from detnas.errors import MissingFileError, UserError


@dataclass(frozen=True)
class CocoFile:
    """A checked annotation file.

    Attributes:
        records: its undecoded records.
        image_ids: position of each image by its id.
        categories: names by id, in the file's order.
        file_names: of the images, in the file's order.
        annotation_ids: empty unless they were required.
        boxes: `BOX` records (annotations,), in the file's order; crowds are ignored.
    """

    records: CocoRecords
    image_ids: dict[Id, int]
    categories: dict[Id, str]
    file_names: tuple[str, ...]
    annotation_ids: set[Id]
    boxes: Boxes


@dataclass(frozen=True)
class CocoSummary:
    """What checks need of an annotation file; categories and images are in the file's order."""

    categories: tuple[str, ...]
    file_names: tuple[str, ...]
    boxes: int
    crowd_boxes: int


def read_coco_file(ann_file: Path, to_copy: bool = False) -> CocoFile:
    """Read and check an existing annotation file.

    Args:
        to_copy: require what copies of the records need: no NaN, and an id for each annotation.

    Raises:
        UserError: the file is not JSON, lacks images, annotations or categories, repeats an id,
            refers to an unknown image or category, or has a box that is not four finite numbers.
    """
    records = load_records(ann_file, allow_nan=not to_copy)
    images = list(decoded(ann_file, "images", records.images, ImageRecord))
    categories = list(decoded(ann_file, "categories", records.categories, CategoryRecord))
    image_ids = _positions(ann_file, "images", images)
    category_ids = _positions(ann_file, "categories", categories)
    annotation_ids: set[Id] = set()

    def rows() -> Iterator[tuple[int, int, bool]]:
        kind = NumberedAnnotation if to_copy else AnnotationRecord
        annotations = decoded(ann_file, "annotations", records.annotations, kind)
        for index, annotation in enumerate(annotations):
            image = image_ids.get(annotation.image_id)
            category = category_ids.get(annotation.category_id)
            if image is None or category is None:
                fault = _unknown(annotation, image)
                raise UserError(f"{ann_file}: annotations[{index}] {fault}; correct or remove it")
            if isinstance(annotation, NumberedAnnotation):
                if annotation.id in annotation_ids:
                    raise _repeated(ann_file, "annotations", annotation.id)
                annotation_ids.add(annotation.id)
            yield image, category, bool(annotation.iscrowd)

    return CocoFile(
        records=records,
        image_ids=image_ids,
        categories={category.id: str(category.name) for category in categories},
        file_names=tuple(image.file_name for image in images),
        annotation_ids=annotation_ids,
        boxes=np.fromiter(rows(), BOX, count=len(records.annotations)),
    )


def _positions(
    ann_file: Path, section: str, records: Iterable[ImageRecord | CategoryRecord]
) -> dict[Id, int]:
    """Position of each record by its id; UserError if an id occurs twice."""
    positions: dict[Id, int] = {}
    for index, record in enumerate(records):
        if record.id in positions:
            raise _repeated(ann_file, section, record.id)
        positions[record.id] = index
    return positions


def _repeated(ann_file: Path, section: str, key: Id) -> UserError:
    return UserError(f"{ann_file}: id {key} occurs twice in {section!r}; renumber them")


def _unknown(annotation: AnnotationRecord, image: int | None) -> str:
    if image is None:
        return f"has image_id {annotation.image_id}, which is not in 'images'"
    return f"has category_id {annotation.category_id}, which is not in 'categories'"


def read_coco(ann_file: Path) -> CocoSummary:
    """Summarize an annotation file; a process reads it once, and again when it has changed.

    Raises:
        MissingFileError: the file does not exist.
        UserError: as `read_coco_file`.
    """
    if not ann_file.is_file():
        raise MissingFileError(f"annotation file {ann_file} does not exist; correct `ann_file`")
    state = ann_file.stat()
    return _summary(ann_file, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=16)
def _summary(ann_file: Path, modified_ns: int, size: int) -> CocoSummary:
    file = read_coco_file(ann_file)
    crowds = int(file.boxes["ignored"].sum())
    categories = tuple(file.categories.values())
    return CocoSummary(categories, file.file_names, len(file.boxes) - crowds, crowds)


def coco_split(name: str, ann_file: Path, image_root: Path) -> Split:
    """The images of an annotation file, under `image_root`.

    Raises:
        MissingFileError: an image does not exist.
        UserError: as `read_coco`.
    """
    images = tuple(image_root / file_name for file_name in read_coco(ann_file).file_names)
    refuse_missing(ann_file, "images", images, "correct `data_prefix` or add the images")
    return Split(name, images)


def check_categories(expected: Sequence[str], ann_file: Path) -> None:
    """Check the classes of a dataset's metainfo against those of its annotation file.

    OpenMMLab silently drops a class that the file lacks, and shifts the labels after it.

    Raises:
        UserError: the file lacks a class, or has the classes in another order.
    """
    refuse_string(expected)
    present = read_coco(ann_file).categories
    unknown = [name for name in expected if name not in present]
    if unknown:
        raise UserError(
            f"{ann_file} has no category {quoted(unknown)}; it has {quoted(present)}: "
            "correct `metainfo.classes`"
        )
    ordered = [name for name in present if name in expected]
    if ordered != list(expected):
        raise UserError(
            f"`metainfo.classes` lists {quoted(expected)}, but {ann_file} has {quoted(ordered)}: "
            "OpenMMLab numbers classes in the file's order; list them in that order"
        )
