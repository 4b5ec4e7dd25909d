"""COCO annotation files to be split: read and checked as one set."""

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
    """What the files read so far hold: ids in use, and the file that names an image."""

    image_ids: set[Id] = field(default_factory=set)
    annotation_ids: set[Id] = field(default_factory=set)
    owners: dict[str, Path] = field(default_factory=dict)


def read_coco_set(ann_files: Sequence[Path], prefixes: Sequence[str]) -> CocoSet:
    """Read one or several annotation files as one set.

    Args:
        ann_files: existing files.
        prefixes: for each of them the text to put in front of its file names.

    ValueError, in one line that names the file, for what `read_coco` refuses, for annotations
    without an id or with equal ones, categories that are not those of the first file, and images
    of equal file names. Where ids are those of an earlier file, the later file's start after all
    that are in use.
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
    """Read one file; its ids and file names are added to those seen."""
    images = list(decoded(ann_file, "images", records.images, ImageRecord))
    image_of = unique_ids(ann_file, "images", images)
    _add_names(ann_file, (prefix + image.file_name for image in images), seen.owners)
    category_of = {key: index for index, key in enumerate(category_ids)}
    annotation_ids: set[Id] = set()

    def rows() -> Iterator[tuple[int, int, bool]]:
        for annotation in decoded_annotations(
            ann_file, records.annotations, _NumberedAnnotation, image_of, category_of
        ):
            if annotation.id in annotation_ids:
                raise UserError(
                    f"{ann_file}: id {annotation.id} occurs twice in 'annotations'; number them "
                    "anew"
                )
            annotation_ids.add(annotation.id)
            image, category = image_of[annotation.image_id], category_of[annotation.category_id]
            yield image, category, bool(annotation.iscrowd)

    return CocoSource(
        records,
        boxes=np.fromiter(rows(), BOX, count=len(records.annotations)),
        prefix=prefix,
        first_image=_claim(seen.image_ids, image_of.keys()),
        first_annotation=_claim(seen.annotation_ids, annotation_ids),
    )


def _add_names(ann_file: Path, names: Iterable[str], owners: dict[str, Path]) -> None:
    """Add images to those that are named already; ValueError where one is."""
    for name in names:
        path = posixpath.normpath(name)
        if path in owners:
            places = f"{ann_file}, twice" if owners[path] == ann_file else f"{owners[path]}, too"
            raise UserError(
                f"{ann_file}: image {name!r} is in {places}; remove one, or give files whose "
                "images lie in different folders a --prefix each"
            )
        owners[path] = ann_file


def _claim(used: set[Id], ids: Collection[Id]) -> int | None:
    """Add ids to those in use; where any is, as many new ones, of which the first is returned."""
    if used.isdisjoint(ids):
        used.update(ids)
        return None
    first = 1 + max((int(number) for number in used if not isinstance(number, str)), default=0)
    used.update(range(first, first + len(ids)))
    return first


def _joined(sources: Sequence[CocoSource]) -> Boxes:
    """The boxes of all files, images counted through."""
    boxes = np.concatenate([source.boxes for source in sources])
    counts = [len(source.records.images) for source in sources]
    starts = np.cumsum([0, *counts[:-1]])
    boxes["image"] += np.repeat(starts, [len(source.boxes) for source in sources])
    return boxes


def _renumbered(ann_files: Sequence[Path], sources: Sequence[CocoSource]) -> Iterator[str]:
    for ann_file, source in zip(ann_files, sources, strict=True):
        for what, first in (("image", source.first_image), ("box", source.first_annotation)):
            if first is not None:
                yield f"{ann_file}: {what} ids, some in use before, numbered anew from {first} on"
