"""Reads and checks COCO annotation files, and the images and classes that they name.

As in COCO itself, category ids may have gaps, images may have no boxes, and boxes may be marked as
crowds.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from detnas.data.absent import absent
from detnas.data.boxes import BOX, Boxes
from detnas.data.checks import (
    Split,
    check_images,
    quoted,
    refuse_missing,
    refuse_outside,
    refuse_string,
)
from detnas.data.coco_mends import Mends, inside, is_annotation_id, is_number, is_positive
from detnas.data.coco_records import (
    AnnotationRecord,
    CategoryRecord,
    CocoRecords,
    Id,
    ImageRecord,
    decoded,
    load_records,
    mended_records,
)
from detnas.errors import UserError


@dataclass(frozen=True)
class CocoFile:
    """A checked annotation file, mended where `coco_mends.mend` can.

    Attributes:
        records: its undecoded records.
        image_ids: position of each image by its id.
        categories: names by id, in the file's order.
        images: the images' records, in the file's order.
        annotation_ids: of the annotations.
        boxes: `BOX` records (annotations,), in the file's order; crowds are ignored.
        has_masks: whether any annotation has a mask; then all have.
        subpixel: how many boxes are smaller than a pixel.
        mends: what was changed.
    """

    records: CocoRecords
    image_ids: dict[Id, int]
    categories: dict[Id, str]
    images: tuple[ImageRecord, ...]
    annotation_ids: set[Id]
    boxes: Boxes
    has_masks: bool
    subpixel: int
    mends: Mends

    @property
    def file_names(self) -> tuple[str, ...]:
        """Of the images, in the file's order."""
        return tuple(image.file_name for image in self.images)


@dataclass(frozen=True)
class CocoSummary:
    """What checks need of an annotation file; categories and images are in the file's order.

    Attributes:
        sizes: width and height of each image in pixels; 0, 0 where they are not known.
        by_class: usable boxes of each category, crowds left out.
    """

    categories: tuple[str, ...]
    file_names: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    by_class: tuple[int, ...]
    crowd_boxes: int
    has_masks: bool
    subpixel: int
    mends: Mends

    @property
    def boxes(self) -> int:
        """Usable boxes, crowds left out."""
        return sum(self.by_class)


def read_coco_file(
    ann_file: Path, image_root: Path | None = None, to_copy: bool = False
) -> CocoFile:
    """Read, mend and check an existing annotation file.

    Args:
        to_copy: leave the bytes of the records as they are, unless annotations lack ids or share
            them; who reads the copy mends it.
        image_root: of the images' file names, whose sizes it takes where the file has none.

    Raises:
        UserError: the file is not JSON, lacks images, annotations or categories, repeats the id of
            an image or category, refers to an unknown image or category, or has a box that is not
            four finite numbers.
    """
    records = load_records(ann_file)
    file = _read_file(ann_file, records, Mends({}), _can_copy if to_copy else _is_sound)
    if file is None:
        records, mends = mended_records(ann_file, image_root)
        file = _read_file(ann_file, records, mends, lambda _: True)
        assert file is not None, "it has been mended"
    return file


def _read_file(
    ann_file: Path, records: CocoRecords, mends: Mends, is_enough: Callable[["_Found"], bool]
) -> CocoFile | None:
    """The checked file; None if what was found is not enough."""
    images = tuple(decoded(ann_file, "images", records.images, ImageRecord))
    categories = list(decoded(ann_file, "categories", records.categories, CategoryRecord))
    image_ids = _positions(ann_file, "images", images)
    category_ids = _positions(ann_file, "categories", categories)
    count = len(records.annotations)
    rows, sides = np.zeros(count, BOX), np.zeros((count, 4))
    found = _Found(count, sized=all(_has_size(image) for image in images))
    for index, each in enumerate(categories):
        if not isinstance(each.name, str):
            found.complete = False
            if not is_number(each.name):
                fault = f"has the name {each.name!r}; write text"
                raise UserError(f"{ann_file}: categories[{index}] {fault}")
    annotations = decoded(ann_file, "annotations", records.annotations, AnnotationRecord)
    for index, annotation in enumerate(annotations):
        image = image_ids.get(annotation.image_id)
        category = category_ids.get(annotation.category_id)
        if image is None or category is None:
            known = image_ids if image is None else category_ids
            fault = _unknown(annotation, image, known)
            raise UserError(f"{ann_file}: annotations[{index}] {fault}")
        if annotation.iscrowd not in _CROWD:
            fault = f"has iscrowd {annotation.iscrowd!r}; it may be 0 or 1"
            raise UserError(f"{ann_file}: annotations[{index}] {fault}")
        rows[index] = image, category, annotation.iscrowd in (1, "1")
        sides[index] = annotation.bbox
        found.add(annotation)
    if found.sized:
        limits = np.array([(image.width, image.height) for image in images], float)
        found.usable = bool((inside(sides, limits[rows["image"]]) > 0).all())
    if not is_enough(found):
        return None
    return CocoFile(
        records=records,
        image_ids=image_ids,
        categories={category.id: str(category.name) for category in categories},
        images=images,
        annotation_ids=found.ids,
        boxes=rows,
        has_masks=found.masks > 0,
        subpixel=int((sides[:, 2:] < 1).any(axis=1).sum()),
        mends=mends,
    )


@dataclass
class _Found:
    """What decides whether a file needs to be mended.

    Attributes:
        annotations: their number.
        sized: whether every image has a size.
        complete: whether every annotation has all keys that pycocotools and mmdet need.
        masks: the number of annotations with a mask.
        usable: whether every box has an inside.
    """

    annotations: int
    sized: bool
    complete: bool = True
    masks: int = 0
    usable: bool = False
    ids: set[Id] = field(default_factory=set)

    def add(self, annotation: AnnotationRecord) -> None:
        self.complete &= (
            is_annotation_id(annotation.id)
            and annotation.iscrowd in (0, 1)
            and is_positive(annotation.area)
        )
        self.masks += bytes(annotation.segmentation) not in _NO_MASK
        if isinstance(annotation.id, Id):
            self.ids.add(annotation.id)


_NO_MASK = (b"", b"[]", b"null", b"{}")
_CROWD = (0, 1, None, "0", "1")
"""Values of `iscrowd`, before mends."""


def _can_copy(found: _Found) -> bool:
    return len(found.ids) == found.annotations


def _is_sound(found: _Found) -> bool:
    every_or_none = found.masks in (0, found.annotations)
    return _can_copy(found) and found.complete and found.sized and found.usable and every_or_none


def _has_size(image: ImageRecord) -> bool:
    return all(is_positive(side) for side in (image.width, image.height))


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


def _unknown(annotation: AnnotationRecord, image: int | None, known: Iterable[Id]) -> str:
    key, name, section = annotation.category_id, "category_id", "categories"
    if image is None:
        key, name, section = annotation.image_id, "image_id", "images"
    if any(str(key) == str(other) and type(key) is not type(other) for other in known):
        kind, other = ("text", "a number") if isinstance(key, str) else ("a number", "text")
        return f"has {name} {key} as {kind}, and {section!r} has it as {other}: write both alike"
    return f"has {name} {key}, which is not in {section!r}; correct or remove it"


def read_coco(ann_file: Path, image_root: Path | None = None) -> CocoSummary:
    """Summarize an annotation file; a process reads it once, and again when it has changed.

    Args:
        image_root: as in `read_coco_file`.

    Raises:
        MissingFileError: the file does not exist.
        UserError: as `read_coco_file`.
    """
    if not ann_file.is_file():
        raise absent("annotation file", ann_file, "correct `data_root` or `ann_file`")
    state = ann_file.stat()
    return _summary(ann_file, image_root, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=16)
def _summary(ann_file: Path, image_root: Path | None, modified_ns: int, size: int) -> CocoSummary:
    file = read_coco_file(ann_file, image_root)
    crowds = file.boxes["ignored"]
    by_class = np.bincount(file.boxes["category"][~crowds], minlength=len(file.categories))
    return CocoSummary(
        categories=tuple(file.categories.values()),
        file_names=file.file_names,
        sizes=tuple(
            (int(image.width), int(image.height)) if _has_size(image) else (0, 0)
            for image in file.images
        ),
        by_class=tuple(by_class.tolist()),
        crowd_boxes=int(crowds.sum()),
        has_masks=file.has_masks,
        subpixel=file.subpixel,
        mends=file.mends,
    )


def coco_split(
    name: str,
    ann_file: Path,
    image_root: Path,
    exif: bool = True,
    within: Sequence[Path] = (),
) -> Split:
    """The images of an annotation file, under `image_root`, compared with their files' headers.

    Args:
        exif: whether images are turned as their EXIF data says when they are loaded.
        within: folders, as for `refuse_outside`.

    Raises:
        MissingFileError: an image does not exist.
        UserError: as `refuse_outside`, `check_images` and `read_coco`.
    """
    summary = read_coco(ann_file, image_root)
    images = tuple(image_root / file_name for file_name in summary.file_names)
    refuse_outside(ann_file, images, within)
    mend = "correct their folder (`data_prefix`) or add the images"
    refuse_missing(ann_file, "images", images, mend)
    check_images(ann_file, images, summary.sizes, exif)
    return Split(name, images)


def check_categories(
    expected: Sequence[str], ann_file: Path, image_root: Path | None = None
) -> None:
    """Check the classes of a dataset's metainfo against those of its annotation file.

    OpenMMLab silently drops a class that the file lacks, and shifts the labels after it.

    Args:
        image_root: as in `read_coco_file`; a file is read once for each.

    Raises:
        UserError: the file lacks a class, or has the classes in another order.
    """
    refuse_string(expected)
    present = read_coco(ann_file, image_root).categories
    if twice := sorted({name for name in present if present.count(name) > 1}):
        raise UserError(
            f"{ann_file} has more than one category called {quoted(twice)}: rename one of them, or "
            "give their boxes one category id and remove the other"
        )
    unknown = [name for name in expected if name not in present]
    if unknown:
        raise UserError(
            f"{ann_file} has no category {quoted(unknown)}; it has {quoted(present)}: "
            "correct `classes` (`metainfo.classes`)"
        )
    ordered = [name for name in present if name in expected]
    if ordered != list(expected):
        raise UserError(
            f"`metainfo.classes` lists {quoted(expected)}, but {ann_file} has {quoted(ordered)}: "
            "OpenMMLab numbers classes in the file's order; list them in that order"
        )
