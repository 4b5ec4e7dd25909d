"""A set of COCO annotation files that can write parts of itself.

Records are copied byte for byte, whatever their keys. If ids of several files collide, or a prefix
is given, the values of `id`, `image_id` and `file_name` are replaced; other values keep their
bytes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
from msgspec import Raw

from detnas.data.coco_records import ABSENT, CocoRecords, ImageRecord
from detnas.data.split.report import Boxes, Mask

FILES = {f"instances_{part}.json": part for part in ("search", "train", "trainsearch")}

_BUFFER = 1 << 20


@dataclass(frozen=True)
class CocoSource:
    """One annotation file and the changes to its records.

    Attributes:
        records: its undecoded records.
        boxes: its boxes, with images numbered within this file.
        prefix: text to put before its file names.
        first_image, first_annotation: the new id of the first image or annotation, if they are
            renumbered; the following ones count up.
    """

    records: CocoRecords
    boxes: Boxes
    prefix: str
    first_image: int | None
    first_annotation: int | None

    def images(self) -> Iterator[Raw | bytes]:
        """The records of the images as they are to be written."""
        for index, record in enumerate(self.records.images):
            changes: dict[str, Any] = {}
            if self.first_image is not None:
                changes["id"] = self.first_image + index
            if self.prefix:
                name = msgspec.json.decode(record, type=ImageRecord).file_name
                changes["file_name"] = self.prefix + name
            yield _changed(record, changes)

    def annotations(self) -> Iterator[Raw | bytes]:
        """The records of the annotations as they are to be written."""
        image_of = self.boxes["image"].tolist()
        for index, record in enumerate(self.records.annotations):
            changes = {}
            if self.first_annotation is not None:
                changes["id"] = self.first_annotation + index
            if self.first_image is not None:
                changes["image_id"] = self.first_image + image_of[index]
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
        boxes: of all files, with images numbered across files.
        renumbered: which ids were renumbered, one line each.
    """

    sources: tuple[CocoSource, ...]
    classes: tuple[str, ...]
    boxes: Boxes
    renumbered: tuple[str, ...]
    set_aside: str = "crowd"

    @property
    def images(self) -> int:
        """How many images there are."""
        return sum(len(source.records.images) for source in self.sources)

    def notes(self, search: Mask) -> tuple[str, ...]:
        """Remarks for the report, one line each; the same for every draw."""
        return self.renumbered

    def write(self, search: Mask, paths: Mapping[str, Path]) -> None:
        """Write all parts.

        Args:
            search: (images,), which images are in the search part.
            paths: the path of each name in FILES.
        """
        masks = {"search": search, "train": ~search, "trainsearch": np.ones_like(search)}
        for name, path in paths.items():
            with path.open("wb", buffering=_BUFFER) as file:
                self._write_part(file, masks[FILES[name]])

    def _write_part(self, file: IO[bytes], chosen: Mask) -> None:
        ends = np.cumsum([len(source.records.images) for source in self.sources])
        parts = list(zip(self.sources, np.split(chosen, ends[:-1]), strict=True))
        first = self.sources[0].records
        file.write(b"{\n")
        for key, value in (("info", first.info), ("licenses", first.licenses)):
            if value != ABSENT:
                file.write(b'"%b": %b,\n' % (key.encode(), bytes(value)))
        _write_list(file, "images", (compress(one.images(), mask.tolist()) for one, mask in parts))
        file.write(b",\n")
        of_chosen = ((one.annotations(), mask[one.boxes["image"]]) for one, mask in parts)
        _write_list(file, "annotations", (compress(one, mask.tolist()) for one, mask in of_chosen))
        file.write(b",\n")
        _write_list(file, "categories", [first.categories])
        file.write(b"\n}\n")


def _write_list(file: IO[bytes], key: str, parts: Iterable[Iterable[Raw | bytes]]) -> None:
    """Write a key and its list of records, one per line; `parts` are concatenated."""
    file.write(b'"%b": [' % key.encode())
    separator = b"\n"
    for records in parts:
        for record in records:
            file.write(separator)
            file.write(record)
            separator = b",\n"
    file.write(b"\n]")
