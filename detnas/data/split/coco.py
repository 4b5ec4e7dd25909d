"""Reads and checks the COCO annotation files of a split as one set of images."""

import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detnas.data.coco_records import (
    AnnotationRecord,
    CategoryRecord,
    CocoRecords,
    Id,
    ImageRecord,
    decoded,
    decoded_annotations,
    load_records,
    unique_ids,
)
from detnas.data.split.coco_set import CocoSet, CocoSource
from detnas.data.split.report import BOX, Boxes
from detnas.errors import UserError


class _NumberedAnnotation(AnnotationRecord, frozen=True, kw_only=True):
    id: Id


@dataclass
class _Seen:
    """Ids in the files read so far, and the file that lists each image name."""

    image_ids: set[Id] = field(default_factory=set)
    annotation_ids: set[Id] = field(default_factory=set)
    file_of_name: dict[str, Path] = field(default_factory=dict)


def read_coco_set(ann_files: Sequence[Path], prefixes: Sequence[str]) -> CocoSet:
    """Read one or several annotation files as one set.

    Args:
        ann_files: existing files.
        prefixes: for each file, the text to put before its file names.

    If ids of a file occur in an earlier file, they are replaced by numbers above all ids in use.

    Raises:
        UserError: as `read_coco`; annotation ids are missing or repeated; the files have different
            categories; or two images have the same file name.
    """
    seen = _Seen()
    names: dict[Id, str] = {}
    sources: list[CocoSource] = []
    for ann_file, prefix in zip(ann_files, prefixes, strict=True):
        records = load_records(ann_file)
        theirs = _categories(ann_file, records)
        names = names or theirs
        _check_same(ann_files[0], names, ann_file, theirs)
        sources.append(_read_source(ann_file, records, prefix, tuple(names), seen))
    return CocoSet(
        tuple(sources),
        classes=tuple(names.values()),
        boxes=_joined(sources),
        renumbered=tuple(_renumbered(ann_files, sources)),
    )


def _categories(ann_file: Path, records: CocoRecords) -> dict[Id, str]:
    categories = list(decoded(ann_file, "categories", records.categories, CategoryRecord))
    unique_ids(ann_file, "categories", categories)
    return {category.id: str(category.name) for category in categories}


def _check_same(first: Path, ours: Mapping[Id, str], other: Path, theirs: Mapping[Id, str]) -> None:
    for key in (*ours, *theirs):
        if ours.get(key) != theirs.get(key):
            raise UserError(
                f"category {key} is {_named(theirs, key)} in {other} and {_named(ours, key)} in "
                f"{first}; all files must have the same categories"
            )


def _named(names: Mapping[Id, str], key: Id) -> str:
    return repr(names[key]) if key in names else "absent"


def _read_source(
    ann_file: Path, records: CocoRecords, prefix: str, category_ids: Sequence[Id], seen: _Seen
) -> CocoSource:
    """Read one file, and add its ids and file names to `seen`."""
    images = list(decoded(ann_file, "images", records.images, ImageRecord))
    image_of = unique_ids(ann_file, "images", images)
    _add_names(ann_file, (prefix + image.file_name for image in images), seen.file_of_name)
    category_of = {key: index for index, key in enumerate(category_ids)}
    annotation_ids: set[Id] = set()

    def rows() -> Iterator[tuple[int, int, bool]]:
        for annotation in decoded_annotations(
            ann_file, records.annotations, _NumberedAnnotation, image_of, category_of
        ):
            if annotation.id in annotation_ids:
                raise UserError(
                    f"{ann_file}: id {annotation.id} occurs twice in 'annotations'; renumber them"
                )
            annotation_ids.add(annotation.id)
            image, category = image_of[annotation.image_id], category_of[annotation.category_id]
            yield image, category, bool(annotation.iscrowd)

    return CocoSource(
        records,
        boxes=np.fromiter(rows(), BOX, count=len(records.annotations)),
        prefix=prefix,
        first_image=_claim_ids(seen.image_ids, image_of.keys()),
        first_annotation=_claim_ids(seen.annotation_ids, annotation_ids),
    )


def _add_names(ann_file: Path, names: Iterable[str], file_of_name: dict[str, Path]) -> None:
    """Record the file of each image name; UserError if a name is known already."""
    for name in names:
        path = posixpath.normpath(name)
        if (other := file_of_name.get(path)) is not None:
            where = "is listed twice" if other == ann_file else f"is also in {other}"
            raise UserError(
                f"{ann_file}: image {name!r} {where}; remove one, or give files whose images are "
                "in different folders a --prefix each"
            )
        file_of_name[path] = ann_file


def _claim_ids(used: set[Id], ids: Collection[Id]) -> int | None:
    """Add ids to those in use; on a collision add new numbers instead and return the first."""
    if used.isdisjoint(ids):
        used.update(ids)
        return None
    first = 1 + max((int(number) for number in used if not isinstance(number, str)), default=0)
    used.update(range(first, first + len(ids)))
    return first


def _joined(sources: Sequence[CocoSource]) -> Boxes:
    """The boxes of all files, with images numbered across files."""
    boxes = np.concatenate([source.boxes for source in sources])
    counts = [len(source.records.images) for source in sources]
    starts = np.cumsum([0, *counts[:-1]])
    boxes["image"] += np.repeat(starts, [len(source.boxes) for source in sources])
    return boxes


def _renumbered(ann_files: Sequence[Path], sources: Sequence[CocoSource]) -> Iterator[str]:
    for ann_file, source in zip(ann_files, sources, strict=True):
        for what, first in (("image", source.first_image), ("box", source.first_annotation)):
            if first is not None:
                yield f"{ann_file}: {what} ids collide with earlier ones; renumbered from {first}"
