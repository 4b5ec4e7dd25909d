"""COCO annotation files in little memory: records stay raw bytes and are decoded one at a time.

`json` turns a file of 500 MB into several gigabytes of Python objects. Here the file stays one
block of bytes, each record is a view of it, and only the required keys are decoded. Segmentations
are never decoded.
"""

import codecs
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from detnas.data.coco_mends import Mends, mend
from detnas.errors import UserError

Id = int | float | str
ABSENT = Raw(b"")

_CHUNK = 1 << 20
_SECTIONS = ("images", "annotations", "categories")
_MEND = "`ann_file` must be a COCO annotation file with images, annotations and categories"
_MISSING: list[Raw] = []


def _section() -> Any:
    return msgspec.field(default_factory=lambda: _MISSING)


class CocoRecords(msgspec.Struct, frozen=True):
    """The undecoded sections of an annotation file; `info` and `licenses` may be ABSENT."""

    images: list[Raw] = _section()
    annotations: list[Raw] = _section()
    categories: list[Raw] = _section()
    info: Raw = ABSENT
    licenses: Raw = ABSENT


class ImageRecord(msgspec.Struct, frozen=True):
    """The keys of an image that are read; its size may be absent."""

    id: Id
    file_name: str
    width: Any = None
    height: Any = None


class CategoryRecord(msgspec.Struct, frozen=True):
    """The required keys of a category."""

    id: Id
    name: Any


class AnnotationRecord(msgspec.Struct, frozen=True):
    """The keys of an annotation that are read; `bbox` is x, y, width, height in pixels."""

    image_id: Id
    category_id: Id
    bbox: tuple[float, float, float, float]
    id: Any = None
    iscrowd: Any = None
    area: Any = None
    segmentation: Raw = ABSENT


Record = TypeVar("Record", bound=msgspec.Struct)


def load_records(ann_file: Path) -> CocoRecords:
    """Read an annotation file into records that are views of its bytes.

    NaN and Infinity, which Python writes but JSON does not allow, are read as null. Such a file is
    decoded and encoded again, which takes the memory that views save. A byte order mark is ignored.

    Args:
        ann_file: an existing file.

    Raises:
        UserError: the file is not JSON in UTF-8, or lacks images, annotations or categories.
    """
    return _checked(ann_file, read_bytes(ann_file))


def mended_records(ann_file: Path, image_root: Path | None) -> tuple[CocoRecords, Mends]:
    """The records after `mend`, and what it changed; takes the memory that views save.

    Args:
        image_root: of the images' file names.
    """
    content = load_content(ann_file)
    mends = mend(content, image_root)
    return _checked(ann_file, msgspec.json.encode(content)), mends


def load_content(ann_file: Path) -> Any:
    """The whole file as plain data, with NaN where it has NaN."""
    return json.loads(read_bytes(ann_file))


def read_bytes(ann_file: Path) -> bytes:
    """The bytes of a text file in UTF-8, without a byte order mark."""
    return ann_file.read_bytes().removeprefix(codecs.BOM_UTF8)


def _checked(ann_file: Path, data: bytes) -> CocoRecords:
    try:
        content = _read(data)
    except msgspec.ValidationError as error:
        section = next((name for name in _SECTIONS if f"`$.{name}`" in str(error)), None)
        fault = f": {section!r} is not a list" if section else f" is not a JSON object ({error})"
        raise UserError(f"{ann_file}{fault}; {_MEND}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{ann_file} is not JSON ({error}); {_MEND}") from error
    for section in _SECTIONS:
        if not (records := getattr(content, section)):
            fault = "is missing" if records is _MISSING else "is empty"
            raise UserError(f"{ann_file}: {section!r} {fault}; {_MEND}")
    return content


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


def _read(data: bytes) -> CocoRecords:
    _check_utf8(data)
    try:
        return msgspec.json.decode(data, type=CocoRecords)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if b"NaN" not in data and b"Infinity" not in data:
            raise
    return msgspec.json.decode(msgspec.json.encode(json.loads(data)), type=CocoRecords)


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
        except (msgspec.DecodeError, RecursionError) as error:
            fault = _fault(record, kind, error)
            raise UserError(f"{ann_file}: {section}[{index}] {fault}") from error


def _fault(record: Raw, kind: type[msgspec.Struct], error: Exception) -> str:
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
