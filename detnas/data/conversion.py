"""Takes annotations in COCO, VOC or YOLO format, and gives them as COCO.

A COCO file stays as it is. For the others, a COCO file is written. In VOC's, difficult objects are
crowds, which count neither for nor against a detector.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from detnas.data.checks import check_images
from detnas.data.coco import read_coco
from detnas.data.coco_writing import Record, write_coco
from detnas.data.image_files import read_images
from detnas.data.image_roots import find_image_root
from detnas.data.voc import ANNOTATIONS, read_voc_objects
from detnas.data.voc_folder import VocFiles, is_voc_list, voc_from_folder, voc_from_list
from detnas.data.voc_mends import mended_tree, voc_box
from detnas.data.yolo import (
    YAML_FILES,
    YAML_SUFFIXES,
    YoloSet,
    images_beside,
    label_files,
    names_file,
    yolo_from_folder,
    yolo_from_yaml,
)
from detnas.data.yolo_labels import YoloObject, read_yolo_labels
from detnas.errors import MissingFileError, UserError


@dataclass(frozen=True)
class Converted:
    """Annotations as COCO.

    Attributes:
        format: of the annotations that were given.
        ann_file: the COCO file; the given one, if it is one.
        image_root: the folder that its file names count from.
        notes: what was changed or left out, one line each.
    """

    format: Literal["coco", "voc", "yolo"]
    ann_file: Path
    image_root: Path
    notes: tuple[str, ...] = ()


def as_coco(
    annotations: Path, images: Path | None, output: Path, split: str = "train"
) -> Converted:
    """The annotations as a COCO file, checked against the headers of all images.

    Args:
        annotations: a COCO file (.json), a `data.yaml` or a folder of label files of YOLO, an image
            list or a folder of XML files of VOC.
        images: the folder of the images; None tries the usual places. A `data.yaml` says it itself.
        output: the file to write, if `annotations` is not COCO; it is replaced.
        split: "train" or "val", of a `data.yaml`, and of usual places.

    Raises:
        MissingFileError: `annotations`, or a file that it names, does not exist.
        UserError: the format is none of these, or a file is invalid.
    """
    if not annotations.exists():
        raise MissingFileError(f"{annotations} does not exist; correct the path")
    if annotations.suffix.lower() == ".json":
        return _coco(annotations, images, split)
    if annotations.suffix.lower() in YAML_SUFFIXES:
        return _yolo(yolo_from_yaml(annotations, split), annotations, output)
    if is_voc_list(annotations):
        return _voc(voc_from_list(annotations, images), annotations, output)
    for folder in (annotations, annotations / split, annotations / ANNOTATIONS):
        if folder.is_dir():
            if any(folder.glob("*.xml")):
                return _voc(voc_from_folder(folder, images), folder, output)
            if any(label_files(folder)):
                place = images or images_beside(folder)
                if folder != annotations and (place / folder.name).is_dir():
                    place /= folder.name
                return _yolo(yolo_from_folder(folder, place, names_file(folder)), folder, output)
    for name in YAML_FILES:
        if (annotations / name).is_file():
            return as_coco(annotations / name, images, output, split)
    raise UserError(
        f"{annotations} is not a kind of annotations that DetNAS reads; name a COCO file (.json), "
        "YOLO's data.yaml or its folder of label files (.txt), or VOC's ImageSets/Main/NAME.txt or "
        "its folder of .xml files"
    )


def used_classes(
    ann_file: Path, image_root: Path | None = None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The classes of a COCO file that have a usable box, and those that have none.

    Crowds do not count. Exporters write parents of the classes as classes without boxes.

    Args:
        image_root: as in `read_coco`.
    """
    summary = read_coco(ann_file, image_root)
    counted = list(zip(summary.categories, summary.by_class, strict=True))
    return (
        tuple(name for name, boxes in counted if boxes),
        tuple(name for name, boxes in counted if not boxes),
    )


def _coco(ann_file: Path, images: Path | None, split: str) -> Converted:
    root = find_image_root(ann_file, read_coco(ann_file).file_names, images, split)
    summary = read_coco(ann_file, root)
    check_images(ann_file, [root / name for name in summary.file_names], summary.sizes)
    notes = (f"{ann_file}: {summary.mends}",) if summary.mends.counts else ()
    return Converted("coco", ann_file, root, notes)


def _voc(found: VocFiles, source: Path, output: Path) -> Converted:
    records: list[list[Record]] = []
    sizes: list[tuple[int, int]] = []
    notes: Counter[str] = Counter()
    for xml in found.files:
        read_voc_objects(xml)  # for its errors
        tree, mends = mended_tree(xml)
        notes += mends
        size = tree.find("size")
        sides = ("0", "0") if size is None else (size.findtext("width"), size.findtext("height"))
        sizes.append((int(sides[0] or 0), int(sides[1] or 0)))
        records.append([])
        for item in tree.findall("object"):
            left, top, right, bottom = voc_box(item) or (0, 0, 0, 0)
            difficult = int(item.findtext("difficult", "0")) != 0
            notes["difficult objects are crowds: they do not count in scores"] += difficult
            box = [left, top, right - left, bottom - top]
            records[-1].append(
                {
                    "class": item.findtext("name"),
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": int(difficult),
                }
            )
    notes["images have no XML file, and are left out"] += found.without
    check_images(source, found.images, sizes)
    classes = sorted({each["class"] for each in chain.from_iterable(records)})
    write_coco(source, output, found.images, found.image_root, records, classes)
    return Converted("voc", output, found.image_root, _lines(source, notes))


def _yolo(found: YoloSet, source: Path, output: Path) -> Converted:
    root = Path(os.path.commonpath([path.parent for path in found.images]))
    check_images(source, found.images, [(0, 0)] * len(found.images))
    notes: Counter[str] = Counter()
    records = []
    for label, image in zip(found.labels, read_images(found.images), strict=True):
        objects = read_yolo_labels(label, found.classes)
        size = (image.width, image.height)
        usable = [each for each in (_of_yolo(one, size, found) for one in objects) if each["area"]]
        notes["images have no label file: they have no boxes"] += not label.is_file()
        notes["boxes have no area, and are left out"] += len(objects) - len(usable)
        records.append(usable)
    write_coco(source, output, found.images, root, records, found.classes)
    return Converted("yolo", output, root, _lines(source, notes))


def _of_yolo(found: YoloObject, size: tuple[int, int], data: YoloSet) -> Record:
    width, height = size
    left, top, right, bottom = found.box
    box = [left * width, top * height, (right - left) * width, (bottom - top) * height]
    record: Record = {
        "class": data.classes[found.category],
        "bbox": [round(side, 3) for side in box],
        "area": round(box[2] * box[3], 3),
        "iscrowd": 0,
    }
    if found.polygon:
        points = [round(value * size[place % 2], 3) for place, value in enumerate(found.polygon)]
        record["segmentation"] = [points]
        record["area"] = _polygon_area(points) or record["area"]
    return record


def _polygon_area(points: Sequence[float]) -> float:
    xs, ys = points[::2], points[1::2]
    crossed = (xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(xs)))
    return round(abs(sum(crossed)) / 2, 3)


def _lines(source: Path, notes: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(f"{source}: {count} {what}" for what, count in notes.items() if count)
