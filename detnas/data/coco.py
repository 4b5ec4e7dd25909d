"""Reading of COCO annotation files: what a check or a report needs, and refusal of unusable ones.

Only structure is checked here; whether the images exist is for `detnas.data.checks`. Category ids
need not be contiguous, and images without boxes and crowd boxes are as usual as in COCO itself.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class CocoSummary:
    """What an annotation file holds; categories and file names in the file's order."""

    ann_file: Path
    categories: tuple[str, ...]
    file_names: tuple[str, ...]
    boxes: int
    crowd_boxes: int

    @property
    def images(self) -> int:
        """How many images the file lists, those without boxes included."""
        return len(self.file_names)


def read_coco(ann_file: Path) -> CocoSummary:
    """Read and check an annotation file.

    FileNotFoundError when there is none; ValueError, in one line that names the file, when it is
    not JSON, lacks images, annotations or categories, repeats an image id, refers to an unknown
    image or category, or has a box that is not four finite numbers.
    """
    if not ann_file.is_file():
        raise FileNotFoundError(f"annotation file {ann_file} does not exist; correct `ann_file`")
    state = ann_file.stat()
    return _read(ann_file, state.st_mtime_ns, state.st_size)


# A file of hundreds of megabytes is asked about more than once before training starts.
@lru_cache(maxsize=16)
def _read(ann_file: Path, modified_ns: int, size: int) -> CocoSummary:
    content = _load(ann_file)
    images = _records(ann_file, content, "images", ("id", "file_name"))
    categories = _records(ann_file, content, "categories", ("id", "name"))
    annotations = _records(ann_file, content, "annotations", ("image_id", "category_id", "bbox"))
    image_ids = _unique_ids(ann_file, "images", images)
    category_ids = _unique_ids(ann_file, "categories", categories)
    for index, annotation in enumerate(annotations):
        fault = _fault(annotation, image_ids, category_ids)
        if fault:
            raise ValueError(f"{ann_file}: annotations[{index}] {fault}; correct or remove it")
    crowd = sum(1 for annotation in annotations if annotation.get("iscrowd"))
    return CocoSummary(
        ann_file=ann_file,
        categories=tuple(str(category["name"]) for category in categories),
        file_names=tuple(str(image["file_name"]) for image in images),
        boxes=len(annotations) - crowd,
        crowd_boxes=crowd,
    )


def _load(ann_file: Path) -> dict[str, Any]:
    try:
        content = json.loads(ann_file.read_bytes())
    except ValueError as error:  # JSON's error, or bytes that are not text
        raise ValueError(
            f"{ann_file} is not JSON ({error}); `ann_file` must be a COCO annotation file"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{ann_file} holds a JSON {type(content).__name__}, not an object; "
            "`ann_file` must be a COCO annotation file"
        )
    return content


def _records(
    ann_file: Path, content: dict[str, Any], section: str, keys: tuple[str, ...]
) -> list[dict[str, Any]]:
    """The non-empty list of objects under `section`, each with all of `keys`."""
    records = content.get(section)
    if not isinstance(records, list) or not records:
        found = "is empty" if records == [] else "is missing" if records is None else "is no list"
        raise ValueError(
            f"{ann_file}: {section!r} {found}; `ann_file` must be a COCO annotation file "
            "with images, annotations and categories"
        )
    for index, record in enumerate(records):
        for key in keys:
            if not isinstance(record, dict) or key not in record:
                raise ValueError(f"{ann_file}: {section}[{index}] has no {key!r}; add it")
    return records


def _unique_ids(ann_file: Path, section: str, records: Iterable[dict[str, Any]]) -> set[int]:
    ids: set[int] = set()
    for record in records:
        if record["id"] in ids:
            raise ValueError(
                f"{ann_file}: id {record['id']} occurs twice in {section!r}; number them anew"
            )
        ids.add(record["id"])
    return ids


def _fault(annotation: dict[str, Any], image_ids: set[int], category_ids: set[int]) -> str:
    """What is wrong with an annotation, or nothing."""
    if annotation["image_id"] not in image_ids:
        return f"has image_id {annotation['image_id']}, which is not in 'images'"
    if annotation["category_id"] not in category_ids:
        return f"has category_id {annotation['category_id']}, which is not in 'categories'"
    box = annotation["bbox"]
    if not (isinstance(box, list) and len(box) == 4 and all(map(_is_finite, box))):
        return f"has bbox {box}, which is not four finite numbers"
    return ""


def _is_finite(number: Any) -> bool:
    return isinstance(number, int | float) and math.isfinite(number)
