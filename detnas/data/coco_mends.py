"""Fills in what a COCO file leaves out but determines, and drops boxes of no use.

Checks, splits, data sets and metrics all read annotation files through `mend`, so that none of them
sees other boxes than the others. A sound file stays as it is.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as masks

from detnas.data.image_files import read_images

UNUSABLE_BOXES = "boxes have no width or no height inside their image, and are left out"

_TRIANGLE = 6
"""Numbers of the smallest polygon; COCO has smaller ones beside others, which count nothing."""
_FARTHEST = 4
"""Widths or heights of the image that a mask may lie beyond it."""

_LARGEST = 2**53
"""Above it float64, in which libraries compute, has not every integer."""


@dataclass(frozen=True)
class Mends:
    """What was changed in one file.

    Attributes:
        counts: of annotations or images, by what was done to them.
    """

    counts: Mapping[str, int]

    def __str__(self) -> str:
        return "; ".join(f"{count} {what}" for what, count in self.counts.items())


def mend(content: dict[str, Any], image_root: Path | None = None) -> Mends:
    """Change a decoded annotation file in place; what cannot be mended stays as it is.

    - ids of annotations that are missing, repeated, not numbers, or 0, which pycocotools takes for
      "not matched": all annotations are numbered from 1;
    - `iscrowd` missing: 0; "0" or "1" as text: the number;
    - a category's name that is a number: text, as mmdet compares names;
    - `area` that is not positive: that of the mask, or of the box;
    - `segmentation` empty where other annotations have one: the box;
    - `width` and `height` missing: those of the image file, if `image_root` is given;
    - boxes that have no width or height inside their image are dropped.

    Args:
        content: the decoded JSON object.
        image_root: of the images' file names.
    """
    counts: Counter[str] = Counter()
    images = [each for each in content.get("images") or () if isinstance(each, dict)]
    if image_root is not None:
        _fill_sizes(images, image_root, counts)
    for category in content.get("categories") or ():
        if isinstance(category, dict) and is_number(category.get("name")):
            category["name"] = str(category["name"])
            counts["categories have a number as their name: it is read as text"] += 1
    annotations = content.get("annotations")
    if not isinstance(annotations, list):
        return Mends(counts)
    sound = [each for each in annotations if isinstance(each, dict) and _is_box(each.get("bbox"))]
    for annotation in sound:
        if annotation.get("iscrowd") is None:
            annotation["iscrowd"] = 0
            counts["boxes have no iscrowd: it is 0"] += 1
        elif annotation["iscrowd"] in ("0", "1"):
            annotation["iscrowd"] = int(annotation["iscrowd"])
            counts["boxes have iscrowd as text: it is read as a number"] += 1
    sizes = {_key(image): _size(image) for image in images}
    _drop_unusable(content, sound, sizes, counts)
    if any(annotation.get("segmentation") for annotation in sound):
        _fill_masks(sound, sizes, counts)
    for annotation in sound:
        if not is_positive(annotation.get("area")):
            annotation["area"] = _area(annotation, sizes.get(_key(annotation, "image_id")))
            counts["boxes have no positive area: it is computed"] += 1
    _number(content["annotations"], counts)
    return Mends(counts)


def _fill_sizes(images: Sequence[dict[str, Any]], root: Path, counts: Counter[str]) -> None:
    without = [each for each in images if _size(each) is None and "file_name" in each]
    paths = [root / str(each["file_name"]) for each in without]
    for image, file in zip(without, read_images(paths) if paths else (), strict=True):
        if not file.fault:
            image.update(width=file.width, height=file.height)
            counts["images have no size: it is that of the file"] += 1


def _drop_unusable(
    content: dict[str, Any],
    annotations: list[dict[str, Any]],
    sizes: Mapping[Any, tuple[int, int] | None],
    counts: Counter[str],
) -> None:
    if not annotations:
        return
    boxes = np.array([each["bbox"] for each in annotations], np.float64)
    limits = np.array(
        [sizes.get(_key(each, "image_id")) or (np.inf, np.inf) for each in annotations]
    )
    sides = inside(boxes, limits)
    usable = (sides > 0).all(axis=1)
    if usable.all():
        return
    counts[UNUSABLE_BOXES] += int((~usable).sum())
    dropped = {id(annotations[place]) for place in np.flatnonzero(~usable)}
    content["annotations"] = [each for each in content["annotations"] if id(each) not in dropped]
    annotations[:] = [each for each in annotations if id(each) not in dropped]


def inside(boxes: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.float32]:
    """Width and height of the part of each box that lies inside its image, in single precision.

    Args:
        boxes: (n, 4) x, y, width, height in pixels.
        limits: (n, 2) width and height of the image.
    Returns:
        (n, 2); not positive where nothing is inside, or where it vanishes in single precision, in
        which detectors compute.
    """
    first = np.maximum(boxes[:, :2], 0).astype(np.float32)
    last = np.minimum(boxes[:, :2] + boxes[:, 2:], limits).astype(np.float32)
    return last - first


def _fill_masks(
    annotations: Sequence[dict[str, Any]],
    sizes: Mapping[Any, tuple[int, int] | None],
    counts: Counter[str],
) -> None:
    for annotation in annotations:
        size = sizes.get(_key(annotation, "image_id"))
        if not _is_mask(annotation.get("segmentation"), size):
            x, y, width, height = annotation["bbox"]
            right, bottom = x + width, y + height
            annotation["segmentation"] = [[x, y, right, y, right, bottom, x, bottom]]
            counts["boxes have no mask, unlike others: it is the box"] += 1


def _area(annotation: Mapping[str, Any], size: tuple[int, int] | None) -> float:
    shape = annotation.get("segmentation")
    if size is not None and _is_mask(shape, size):
        width, height = size
        if isinstance(shape, list):
            shape = [polygon for polygon in shape if len(polygon) >= _TRIANGLE]
        is_packed = isinstance(shape, dict) and isinstance(shape["counts"], str)
        encoded = shape if is_packed else masks.frPyObjects(shape, height, width)
        merged = masks.merge(encoded) if isinstance(encoded, list) else encoded
        if area := float(masks.area(merged)):
            return area
    return float(annotation["bbox"][2] * annotation["bbox"][3])


def _is_mask(shape: Any, size: tuple[int, int] | None) -> bool:
    """Whether it is polygons or run lengths that pycocotools can take: it checks neither.

    It fills the memory with the outline of a polygon that reaches far beyond its image.
    """
    if isinstance(shape, list):
        far = _FARTHEST * max(size or (_LARGEST,))
        near = all(
            isinstance(polygon, list)
            and all(isinstance(each, int | float) and abs(each) <= far for each in polygon)
            for polygon in shape
        )
        return near and any(len(polygon) >= _TRIANGLE for polygon in shape)
    if not isinstance(shape, dict):
        return False
    counts, shape_size = shape.get("counts"), shape.get("size")
    if size is not None and shape_size != [size[1], size[0]]:
        return False
    if isinstance(counts, list):
        whole = all(isinstance(each, int) and 0 <= each < _LARGEST for each in counts)
        return whole and (size is None or sum(counts) == size[0] * size[1])
    return isinstance(counts, str) and bool(counts)


def _number(annotations: Sequence[Any], counts: Counter[str]) -> None:
    ids = [each.get("id") if isinstance(each, dict) else None for each in annotations]
    if all(map(is_annotation_id, ids)) and len(set(ids)) == len(ids):
        return
    for number, annotation in enumerate(annotations, 1):
        if isinstance(annotation, dict):
            annotation["id"] = number
    counts["annotations are numbered anew: ids are missing, repeated, no numbers or 0"] = len(ids)


def _key(record: Mapping[str, Any], name: str = "id") -> Any:
    key = record.get(name)
    return key if isinstance(key, int | float | str) else None


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    sides = image.get("width"), image.get("height")
    if not all(is_positive(side) for side in sides):
        return None
    width, height = sides
    return int(width), int(height)  # type: ignore[arg-type]


def is_annotation_id(key: Any) -> bool:
    """Whether pycocotools can use it: it keeps ids as float64, in which 0 means "not matched"."""
    return isinstance(key, int) and not isinstance(key, bool) and 0 < key < _LARGEST


def is_number(value: Any) -> bool:
    """Whether it is an integer or a float; True and False are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_positive(value: Any) -> bool:
    """Whether it is a number above 0, and not too large for one."""
    return is_number(value) and 0 < value < _LARGEST


def _is_box(box: Any) -> bool:
    return (
        isinstance(box, list | tuple)
        and len(box) == 4
        and all(isinstance(side, int | float) and abs(side) < _LARGEST for side in box)
    )
