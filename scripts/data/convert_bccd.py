"""Convert BCCD (blood cells under a microscope, 3 classes) from VOC XML to COCO JSON.

    python scripts/data/convert_bccd.py SOURCE DEST

SOURCE is a copy of the GitHub repository Shenggan/BCCD_Dataset (MIT licence), which holds
BCCD/Annotations, BCCD/JPEGImages and BCCD/ImageSets/Main. DEST, which must not exist yet, will have

    images/*.jpg                                              unchanged, all splits together
    annotations/instances_{train,search,val,trainsearch}.json

where train, search and val are the repository's train.txt, val.txt and test.txt, and trainsearch is
train and search joined. Boxes without an area are dropped and reported. Ids continue from one split
to the next.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from detnas.data.folders import new_folder
from detnas.errors import UserError

CATEGORIES = ("RBC", "WBC", "Platelets")
SPLITS = {"train": "train", "search": "val", "val": "test"}  # ours: theirs
LICENSE = {
    "id": 1,
    "name": "MIT",
    "url": "https://github.com/Shenggan/BCCD_Dataset/blob/master/LICENSE",
}
Box = tuple[str, float, float, float, float]  # category, x, y, width, height in pixels


@dataclass
class Records:
    """The COCO records of one split."""

    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)

    def __add__(self, other: "Records") -> "Records":
        return Records(self.images + other.images, self.annotations + other.annotations)

    def as_coco(self) -> dict[str, Any]:
        return {
            "info": {"description": "BCCD"},
            "licenses": [LICENSE],
            "images": self.images,
            "annotations": self.annotations,
            "categories": [{"id": i, "name": name} for i, name in enumerate(CATEGORIES, 1)],
        }


def check_source(source: Path) -> Path:
    """The data folder in SOURCE; UserError if its layout is not that of BCCD."""
    root = source / "BCCD"
    lists = [root / "ImageSets" / "Main" / f"{name}.txt" for name in SPLITS.values()]
    for path in (root / "Annotations", root / "JPEGImages", *lists):
        if not path.exists():
            raise UserError(
                f"{path} does not exist; SOURCE must be a copy of the repository "
                "Shenggan/BCCD_Dataset"
            )
    return root


def read_labels(root: Path, stem: str) -> tuple[dict[str, int], list[Box]]:
    """The size and the boxes of an image; UserError if its XML is missing, invalid or not BCCD."""
    path = root / "Annotations" / f"{stem}.xml"
    try:
        tree = ElementTree.parse(path).getroot()
        size = {side: int(_text(tree, f"size/{side}")) for side in ("width", "height")}
        return size, [_read_box(node) for node in tree.iter("object")]
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); download SOURCE again") from error


def _text(node: ElementTree.Element, path: str) -> str:
    text = node.findtext(path)
    if text is None:
        raise ValueError(f"no <{path}>")
    return text


def _read_box(node: ElementTree.Element) -> Box:
    name = _text(node, "name")
    if name not in CATEGORIES:
        raise ValueError(f"category {name!r} is not one of {', '.join(CATEGORIES)}")
    left, top, right, bottom = (
        float(_text(node, f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")
    )
    return name, left, top, right - left, bottom - top


def box_records(file_name: str, boxes: list[Box]) -> Iterator[dict[str, Any]]:
    """The COCO records of an image's boxes, without ids; boxes without an area are dropped."""
    for name, x, y, width, height in boxes:
        if width <= 0 or height <= 0:
            print(f"dropped a box without area ({name}) in {file_name}")
            continue
        yield {
            "category_id": CATEGORIES.index(name) + 1,
            "bbox": [x, y, width, height],
            "area": width * height,
            "iscrowd": 0,
        }


def convert(source: Path, dest: Path) -> None:
    """Write DEST, completely or not at all; UserError if SOURCE or DEST is invalid."""
    root = check_source(source)
    with new_folder(dest) as folder:
        (folder / "images").mkdir()
        (folder / "annotations").mkdir()
        splits = {name: Records() for name in SPLITS}
        image_ids, box_ids = count(1), count(1)
        for name, theirs in SPLITS.items():
            stems = (root / "ImageSets" / "Main" / f"{theirs}.txt").read_text().split()
            for stem in sorted(stems):
                size, boxes = read_labels(root, stem)
                image = root / "JPEGImages" / f"{stem}.jpg"
                if not image.is_file():
                    raise UserError(f"{image} does not exist; download SOURCE again")
                shutil.copyfile(image, folder / "images" / image.name)
                ids = {"id": next(image_ids), "file_name": image.name}
                splits[name].images.append({**ids, **size, "license": 1})
                splits[name].annotations += [
                    {"id": next(box_ids), "image_id": ids["id"], **record}
                    for record in box_records(image.name, boxes)
                ]
        splits["trainsearch"] = splits["train"] + splits["search"]
        for name, records in splits.items():
            path = folder / "annotations" / f"instances_{name}.json"
            path.write_text(json.dumps(records.as_coco(), separators=(",", ":")) + "\n")
            print(f"{name}: {len(records.images)} images, {len(records.annotations)} boxes")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns 2 if SOURCE or DEST is invalid."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, metavar="SOURCE")
    parser.add_argument("dest", type=Path, metavar="DEST")
    options = parser.parse_args(arguments)
    try:
        convert(options.source, options.dest)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
