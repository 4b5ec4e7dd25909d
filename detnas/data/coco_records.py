"""COCO annotation files in little memory: records stay raw bytes and are decoded one at a time.

`json` turns a file of 500 MB into several gigabytes of Python objects. Here the file stays one
block of bytes, each record is a view of it, and only the required keys are decoded. Segmentations
are never decoded.
"""

import codecs
import json
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Raw

from detnas.errors import UserError

Id = int | float | str
ABSENT = Raw(b"")

_CHUNK = 1 << 20
_MEND = "`ann_file` must be a COCO annotation file with images, annotations and categories"
_SECTIONS = ("images", "annotations", "categories")


Section = Annotated[list[Raw], msgspec.Meta(min_length=1)]


class CocoRecords(msgspec.Struct, frozen=True):
    """The undecoded sections of an annotation file; `info` and `licenses` may be ABSENT."""

    images: Section
    annotations: Section
    categories: Section
    info: Raw = ABSENT
    licenses: Raw = ABSENT


class ImageRecord(msgspec.Struct, frozen=True):
    """The required keys of an image."""

    id: Id
    file_name: str


class CategoryRecord(msgspec.Struct, frozen=True):
    """The required keys of a category."""

    id: Id
    name: Any


class AnnotationRecord(msgspec.Struct, frozen=True):
    """The required keys of an annotation; `bbox` is x, y, width, height in pixels."""

    image_id: Id
    category_id: Id
    bbox: tuple[float, float, float, float]
    iscrowd: Any = 0


Record = TypeVar("Record", bound=msgspec.Struct)
Annotation = TypeVar("Annotation", bound=AnnotationRecord)


def load_records(ann_file: Path, allow_nan: bool = False) -> CocoRecords:
    """Read an annotation file into records that are views of its bytes.

    Args:
        ann_file: an existing file.
        allow_nan: read NaN and Infinity, which Python writes but JSON does not allow, as null.
            Such a file is decoded and encoded again, which takes the memory that views save.

    Raises:
        UserError: the file is not JSON in UTF-8, or lacks images, annotations or categories.
    """
    data = ann_file.read_bytes()
    try:
        _check_utf8(data)
        try:
            return msgspec.json.decode(data, type=CocoRecords)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            if not allow_nan or (b"NaN" not in data and b"Infinity" not in data):
                raise
            return msgspec.json.decode(msgspec.json.encode(json.loads(data)), type=CocoRecords)
    except msgspec.ValidationError as error:
        raise UserError(f"{ann_file}{_section_fault(str(error))}; {_MEND}") from error
    except ValueError as error:
        raise UserError(f"{ann_file} is not JSON ({error}); {_MEND}") from error


def _section_fault(error: str) -> str:
    """What msgspec's message says about a section of the file."""
    match = re.search(rf"`(?:\$\.)?({'|'.join(_SECTIONS)})`", error)
    if match is None:
        return f" is not a JSON object ({error})"
    missing, empty = "missing required" in error, "length" in error
    return f": {match[1]!r} is {'missing' if missing else 'empty' if empty else 'not a list'}"


def _check_utf8(data: bytes) -> None:
    """Check the encoding of the whole file: msgspec does not check what it skips."""
    if data.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(data), _CHUNK):
        try:
            decoder.decode(data[start : start + _CHUNK])
        except UnicodeDecodeError as error:
            raise UserError(f"invalid UTF-8 around byte {start + error.start}") from error


def decoded(
    ann_file: Path, section: str, records: Iterable[Raw], kind: type[Record]
) -> Iterator[Record]:
    """Decode the records of a section as `kind`, one at a time.

    Raises:
        UserError: a record lacks a key of `kind` or has a value of another type.
    """
    decoder = msgspec.json.Decoder(kind)
    for index, record in enumerate(records):
        try:
            yield decoder.decode(record)
        except msgspec.DecodeError as error:
            fault = _fault(record, kind, error)
            raise UserError(f"{ann_file}: {section}[{index}] {fault}") from error


def _fault(record: Raw, kind: type[msgspec.Struct], error: msgspec.DecodeError) -> str:
    try:
        present = msgspec.json.decode(record, type=dict[str, Raw])
    except msgspec.DecodeError:
        present = {}
    for field in msgspec.structs.fields(kind):
        if field.required and field.name not in present:
            return f"has no {field.name!r}; add it"
    if "`$.bbox" in str(error):
        box = " ".join(bytes(present["bbox"]).decode().split())
        return f"has bbox {box}, which is not four finite numbers; correct or remove it"
    return f"is invalid ({error}); correct it"


def unique_ids(ann_file: Path, section: str, records: Iterable[Any]) -> dict[Id, int]:
    """Position of each record by its `id`; UserError if an id occurs twice."""
    positions: dict[Id, int] = {}
    for index, record in enumerate(records):
        if record.id in positions:
            raise UserError(
                f"{ann_file}: id {record.id} occurs twice in {section!r}; renumber them"
            )
        positions[record.id] = index
    return positions


def decoded_annotations(
    ann_file: Path,
    records: Sequence[Raw],
    kind: type[Annotation],
    image_ids: Container[Id],
    category_ids: Container[Id],
) -> Iterator[Annotation]:
    """Decode annotations as `decoded` does, and check that their images and categories exist.

    Raises:
        UserError: as `decoded`, or an annotation refers to an unknown image or category.
    """
    for index, annotation in enumerate(decoded(ann_file, "annotations", records, kind)):
        fault = ""
        if annotation.image_id not in image_ids:
            fault = f"has image_id {annotation.image_id}, which is not in 'images'"
        elif annotation.category_id not in category_ids:
            fault = f"has category_id {annotation.category_id}, which is not in 'categories'"
        if fault:
            raise UserError(f"{ann_file}: annotations[{index}] {fault}; correct or remove it")
        yield annotation
