"""Reads PASCAL VOC data, image lists and the XML of each image, as mmdet's VOCDataset does.

A root, such as VOCdevkit/VOC2007, has ImageSets/Main/*.txt (image lists, one id per line),
Annotations/ID.xml and JPEGImages/ID.jpg.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from detnas.data.absent import absent
from detnas.data.checks import (
    Split,
    check_images,
    quoted,
    refuse_missing,
    refuse_outside,
    refuse_string,
)
from detnas.data.coco_mends import Mends
from detnas.data.voc_mends import mend_voc, voc_box
from detnas.errors import MissingFileError, UserError

IMAGES, ANNOTATIONS = "JPEGImages", "Annotations"


@dataclass(frozen=True)
class VocObject:
    """The class of an object, and whether it is marked as difficult."""

    name: str
    difficult: bool


def read_voc_list(path: Path) -> tuple[str, ...]:
    """The image ids of a list, in its order.

    Raises:
        MissingFileError: there is no such list.
        UserError: the list is empty, repeats an id, or has a line that is blank or begins or ends
            with a space. Lists of one class, such as aeroplane_trainval.txt, are refused, too: they
            have a second column of 1, 0 and -1.
    """
    if not path.is_file():
        raise absent("image list", path, "correct `data_root` or `ann_file`")
    try:
        ids = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a text file ({error}); name a VOC image list") from error
    if not ids:
        raise UserError(f"{path} is empty; name a VOC image list, one image id per line")
    seen: set[str] = set()
    for number, line in enumerate(ids, 1):
        if fault := _line_fault(line):
            raise UserError(f"{path}, line {number}: {fault}")
        if line in seen:
            raise UserError(f"{path}, line {number}: id {line} occurs twice; remove one")
        seen.add(line)
    return tuple(ids)


def _line_fault(line: str) -> str | None:
    """What is wrong with a line; an id may have spaces within, as file names may."""
    columns = line.split()
    if not columns:
        return "is blank; remove it"
    if len(columns) == 2 and columns[1] in ("-1", "0", "1"):
        return (
            f"{line!r} is an image id and a label; name a list of images such as trainval.txt, not "
            "a list of one class such as aeroplane_trainval.txt"
        )
    if line != line.strip():
        return f"{line!r} has spaces around the id; remove them"
    return None


def checked_voc_list(ann_file: Path, root: Path) -> tuple[str, ...]:
    """The image ids of a list, as `read_voc_list`; their images and XML files exist under `root`.

    Raises:
        MissingFileError: an image or its XML file does not exist.
        UserError: as `read_voc_list`.
    """
    ids = read_voc_list(ann_file)
    for what, folder, suffix in (("images", IMAGES, "jpg"), ("annotations", ANNOTATIONS, "xml")):
        files = [root / folder / f"{image_id}.{suffix}" for image_id in ids]
        refuse_missing(ann_file, what, files, "correct the list or add them")
    return ids


def voc_split(
    name: str, ann_file: Path, root: Path, exif: bool = True, within: Sequence[Path] = ()
) -> Split:
    """The images of a list, under `root`, compared with the headers of their files.

    Args:
        root: `data_root` joined with `sub_data_root`.
        exif: whether images are turned as their EXIF data says when they are loaded.
        within: folders, as for `refuse_outside`.

    Raises:
        UserError: as `checked_voc_list`, `read_voc`, `refuse_outside` and `check_images`.
    """
    checked_voc_list(ann_file, root)
    summary = read_voc(ann_file, root)
    refuse_outside(ann_file, summary.images, within)
    check_images(ann_file, summary.images, summary.sizes, exif)
    return Split(name, summary.images)


@dataclass(frozen=True)
class VocSummary:
    """What checks need of the XML files of a list.

    Attributes:
        images: their paths, in the list's order.
        sizes: width and height of each image in pixels; 0, 0 where its XML file has none.
        first: the first XML file with an object of each class, usable or not.
        by_class: usable boxes that are not difficult, by class.
        mends: what was changed.
    """

    images: tuple[Path, ...]
    sizes: tuple[tuple[int, int], ...]
    first: Mapping[str, Path]
    by_class: Mapping[str, int]
    mends: Mends


def read_voc(ann_file: Path, root: Path) -> VocSummary:
    """Summarize the XML files of a list; a process reads them once, and again when one has changed.

    Raises:
        MissingFileError: an XML file does not exist.
        UserError: as `read_voc_list` and `read_voc_objects`.
    """
    ids = read_voc_list(ann_file)
    files = tuple(root / ANNOTATIONS / f"{image_id}.xml" for image_id in ids)
    images = tuple(root / IMAGES / f"{image_id}.jpg" for image_id in ids)
    return _summary(images, files, tuple(map(_state, files)))


def _state(xml: Path) -> tuple[int, int]:
    try:
        state = xml.stat()
    except FileNotFoundError:
        raise _missing(xml) from None
    return state.st_mtime_ns, state.st_size


@lru_cache(maxsize=16)
def _summary(
    images: tuple[Path, ...], files: tuple[Path, ...], states: tuple[tuple[int, int], ...]
) -> VocSummary:
    sizes = []
    first: dict[str, Path] = {}
    by_class: Counter[str] = Counter()
    mends: Counter[str] = Counter()
    for xml in files:
        element = _parse(xml)
        for item in _objects(xml, element):
            first.setdefault(item.name, xml)
        mends += mend_voc(element)
        for item in _objects(xml, element):
            by_class[item.name] += not item.difficult
        size = element.find("size")
        sides = ("0", "0") if size is None else (size.findtext("width"), size.findtext("height"))
        sizes.append((int(sides[0] or 0), int(sides[1] or 0)))
    return VocSummary(images, tuple(sizes), first, by_class, Mends(mends))


def read_voc_objects(xml: Path) -> tuple[VocObject, ...]:
    """The objects of one XML file in its order, without their parts (head, hand, foot).

    Raises:
        MissingFileError: there is no such file.
        UserError: the file is not XML, or an object has no name, no box of four finite numbers, or
            a `difficult` that is not a whole number.
    """
    return _objects(xml, _parse(xml))


def _parse(xml: Path) -> Element:
    try:
        return ElementTree.fromstring(xml.read_bytes())
    except FileNotFoundError:
        raise _missing(xml) from None
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise _invalid(xml, error) from error


def _objects(xml: Path, element: Element) -> tuple[VocObject, ...]:
    try:
        return tuple(_read_object(node) for node in element.findall("object"))
    except ValueError as error:
        raise _invalid(xml, error) from error


def _missing(xml: Path) -> MissingFileError:
    return MissingFileError(f"annotation file {xml} does not exist; add it")


def _invalid(xml: Path, error: Exception) -> UserError:
    return UserError(f"{xml} is not a valid VOC annotation ({error}); correct it")


def _read_object(node: Element) -> VocObject:
    name = node.findtext("name")
    if not name:
        raise UserError("an object has no <name>")
    if voc_box(node) is None:
        raise UserError(f"the box of an object {name!r} is not four finite numbers")
    difficult = node.findtext("difficult", "0")
    if not difficult.strip().isdecimal():
        raise UserError(f"the <difficult> of an object {name!r} is {difficult!r}")
    return VocObject(name, int(difficult) != 0)


def voc_classes(ann_file: Path, root: Path) -> dict[str, Path]:
    """The classes in the images of a list, each with the first XML file that has it.

    Errors as `read_voc`.
    """
    return dict(read_voc(ann_file, root).first)


def check_voc_classes(expected: Sequence[str], ann_file: Path, root: Path) -> None:
    """Check that all objects in the images of a list have an expected class.

    OpenMMLab silently drops objects of other classes. An expected class may have no objects.

    Raises:
        UserError: an object has another class.
    """
    refuse_string(expected)
    present = voc_classes(ann_file, root)
    unknown = [name for name in present if name not in expected]
    if unknown:
        raise UserError(
            f"{ann_file} has images with objects of class {quoted(unknown)}, the first in "
            f"{present[unknown[0]]}; `metainfo.classes` has {quoted(expected)}: correct one of "
            "them"
        )
