"""Reads COCO annotation files as one set of images, and writes parts of it.

Records are copied byte for byte, whatever their keys. If ids of several files collide, or a prefix
is given, the values of `id`, `image_id` and `file_name` are replaced; other values keep their
bytes.
"""

import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw

from detnas.data.boxes import Boxes, Mask
from detnas.data.coco import read_coco_file
from detnas.data.coco_records import ABSENT, CocoRecords, Id
from detnas.errors import UserError

GROUP = "instances"


@dataclass(frozen=True)
class CocoSource:
    """One annotation file and the changes to its records.

    Attributes:
        records: its undecoded records.
        file_names: new file names of the images, if they are changed.
        boxes: its boxes, with images numbered from `start`.
        start: how many images the files before it have.
        first_image, first_annotation: the new id of the first image or annotation, if they are
            renumbered; the following ones count up.
    """

    records: CocoRecords
    file_names: tuple[str, ...] | None
    boxes: Boxes
    start: int
    first_image: int | None
    first_annotation: int | None

    def images(self) -> Iterator[Raw | bytes]:
        """The records of the images as they are to be written."""
        for index, record in enumerate(self.records.images):
            changes: dict[str, Any] = {}
            if self.first_image is not None:
                changes["id"] = self.first_image + index
            if self.file_names:
                changes["file_name"] = self.file_names[index]
            yield _changed(record, changes)

    def annotations(self) -> Iterator[Raw | bytes]:
        """The records of the annotations as they are to be written."""
        image_of: list[int] = []
        if self.first_image is not None:
            image_of = (self.boxes["image"] - self.start + self.first_image).tolist()
        for index, record in enumerate(self.records.annotations):
            changes = {}
            if self.first_annotation is not None:
                changes["id"] = self.first_annotation + index
            if image_of:
                changes["image_id"] = image_of[index]
            yield _changed(record, changes)


def _changed(record: Raw, changes: Mapping[str, Any]) -> Raw | bytes:
    """The record with some values changed; the other values keep their bytes."""
    if not changes:
        return record
    values = msgspec.json.decode(record, type=dict[str, Raw])
    return msgspec.json.encode({**values, **changes})


@dataclass(frozen=True)
class CocoSet:
    """The images of one or several annotation files, in order.

    Attributes:
        sources: the files.
        classes: names, in the first file's order.
        notes: which ids were renumbered, one line each.
    """

    sources: tuple[CocoSource, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    set_aside = "crowd"

    @property
    def sizes(self) -> dict[str, int]:
        """Number of images in the only group of output files."""
        return {GROUP: sum(len(source.records.images) for source in self.sources)}

    @property
    def boxes(self) -> Boxes:
        """The boxes of all files, with images numbered across files."""
        return np.concatenate([source.boxes for source in self.sources])

    def content(self, group: str, chosen: Mask) -> Iterator[Raw | bytes]:
        """Yield the pieces of a file with the chosen images and their annotations."""
        first = self.sources[0].records
        yield b"{\n"
        for key, value in (("info", first.info), ("licenses", first.licenses)):
            if value != ABSENT:
                yield b'"%b": %b,\n' % (key.encode(), bytes(value))
        images = chain.from_iterable(source.images() for source in self.sources)
        yield from _list("images", compress(images, chosen.tolist()))
        yield b",\n"
        annotations = chain.from_iterable(source.annotations() for source in self.sources)
        yield from _list("annotations", compress(annotations, chosen[self.boxes["image"]].tolist()))
        yield b",\n"
        yield from _list("categories", first.categories)
        yield b"\n}\n"


def _list(key: str, records: Iterable[Raw | bytes]) -> Iterator[Raw | bytes]:
    """A key and its list of records, one per line."""
    yield b'"%b": [' % key.encode()
    separator = b"\n"
    for record in records:
        yield separator
        yield record
        separator = b",\n"
    yield b"\n]"


def read_coco_set(ann_files: Sequence[Path], prefixes: Sequence[str]) -> CocoSet:
    """Read one or several annotation files as one set.

    Args:
        ann_files: existing files.
        prefixes: for each file, the text to put before its file names.

    If ids of a file occur in an earlier file, they are replaced by numbers above all ids in use.

    Raises:
        UserError: as `read_coco_file`; the files have different categories; or two images have the
            same file name.
    """
    image_ids: set[Id] = set()
    annotation_ids: set[Id] = set()
    file_of_name: dict[str, Path] = {}
    names: dict[Id, str] = {}
    sources: list[CocoSource] = []
    mended: list[str] = []
    for ann_file, prefix in zip(ann_files, prefixes, strict=True):
        file = read_coco_file(ann_file, to_copy=True)
        if file.mends.counts:
            mended.append(f"{ann_file}: {file.mends}")
        names = names or file.categories
        _check_same(ann_files[0], names, ann_file, file.categories)
        source = CocoSource(
            file.records,
            file_names=tuple(prefix + name for name in file.file_names) if prefix else None,
            boxes=file.boxes,
            start=len(file_of_name),
            first_image=_claim_ids(image_ids, file.image_ids.keys()),
            first_annotation=_claim_ids(annotation_ids, file.annotation_ids),
        )
        _add_names(ann_file, source.file_names or file.file_names, file_of_name)
        source.boxes["image"] += source.start
        positions = np.array([list(names).index(key) for key in file.categories])
        source.boxes["category"] = positions[source.boxes["category"]]
        sources.append(source)
        del file  # its ids take memory while the next file is read
    return CocoSet(tuple(sources), tuple(names.values()), (*mended, *_notes(ann_files, sources)))


def _check_same(first: Path, ours: Mapping[Id, str], other: Path, theirs: Mapping[Id, str]) -> None:
    for key in (*ours, *theirs):
        if ours.get(key) != theirs.get(key):
            here, there = (repr(of[key]) if key in of else "absent" for of in (theirs, ours))
            raise UserError(
                f"category {key} is {here} in {other} and {there} in {first}; all files must have "
                "the same categories"
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


def _notes(ann_files: Sequence[Path], sources: Sequence[CocoSource]) -> Iterator[str]:
    for ann_file, source in zip(ann_files, sources, strict=True):
        for what, first in (("image", source.first_image), ("box", source.first_annotation)):
            if first is not None:
                yield f"{ann_file}: {what} ids collide with earlier ones; renumbered from {first}"
