"""The embedded demo data: handwritten digits on textured backgrounds.

The source is the 1,797 images of 8x8 pixels that scikit-learn ships (UCI "Optical Recognition of
Handwritten Digits", test part), so nothing is downloaded. `write_digits` writes under its root

    manifest.json                                            seed and counts
    classification/{train,val}/<digit>/*.png                 crops, for pretraining
    detection/images/{train,search,val}/*.jpg                scenes of 3 to 8 digits
    detection/annotations/instances_{train,search,val,trainsearch}.json   COCO, boxes and masks

File names in the annotations are relative to `detection/images`. A source digit appears in only one
of train, search and val, for crops and scenes alike. Image and annotation ids continue from one
file to the next, so `trainsearch` is train and search joined.
"""

import json
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from detnas.data.backgrounds import Array
from detnas.data.folders import new_folder
from detnas.data.scenes import (
    MAX_HEIGHT,
    MIN_HEIGHT,
    SCENE_HEIGHTS,
    SCENE_SIZE,
    Picture,
    PlacedDigit,
    draw_crop,
    draw_scene,
)
from detnas.errors import UserError

DIGITS = tuple(str(value) for value in range(10))
CATEGORIES = [{"id": value + 1, "name": name} for value, name in enumerate(DIGITS)]
SPLITS = ("train", "search", "val")
SHARES = (0.7, 0.15, 0.15)  # of the source digits of each class

_FORMAT = {"format": "detnas-digits", "version": 1}
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92]
# The number of each random stream; generators are seeded by (seed, stream, index of the picture).
_STREAM = {"split": 0, "crops/train": 1, "crops/val": 2, "train": 3, "search": 4, "val": 5}


@dataclass(frozen=True)
class DigitCounts:
    """How many pictures to draw: crops for classification and scenes for detection."""

    train_crops: int = 6000
    val_crops: int = 500
    train_scenes: int = 1200
    search_scenes: int = 250
    val_scenes: int = 400


DEFAULT_COUNTS = DigitCounts()
BENCHMARK_COUNTS = DigitCounts(
    train_crops=8000, val_crops=1000, train_scenes=3000, search_scenes=1000, val_scenes=2000
)
"""Of data to compare architectures on: enough scenes for scores with little sampling noise."""
BENCHMARK_HEIGHTS = (6.0, 100.0)
"""Of the same data: digits of so many sizes that the receptive field matters."""


@dataclass(frozen=True)
class SourceDigits:
    """Source digits: images (N, 8, 8) in 0-16, values (N,) in 0-9, positions (N,) in the source."""

    images: Array
    values: NDArray[np.int64]
    indices: NDArray[np.int64]


def source_splits(seed: int) -> dict[str, SourceDigits]:
    """The source digits in three disjoint parts, with SHARES of each class."""
    from sklearn.datasets import load_digits  # slow to import

    images, values = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8).astype(np.float32)
    values = values.astype(np.int64)
    rng = _stream(seed, "split")
    parts: dict[str, list[NDArray[np.int64]]] = {name: [] for name in SPLITS}
    for value in range(10):
        members = rng.permutation(np.flatnonzero(values == value))
        ends = (np.cumsum(SHARES[:-1]) * len(members)).astype(int)
        for name, part in zip(SPLITS, np.split(members, ends), strict=True):
            parts[name].append(part)
    indices = {name: np.sort(np.concatenate(part)) for name, part in parts.items()}
    return {name: SourceDigits(images[i], values[i], i) for name, i in indices.items()}


def write_digits(
    root: Path,
    seed: int = 0,
    counts: DigitCounts = DEFAULT_COUNTS,
    heights: tuple[float, float] = SCENE_HEIGHTS,
) -> None:
    """Write the data under `root`; the same arguments give the same bytes.

    Root appears complete or not at all. If it already has the data of these arguments, nothing is
    done.

    Args:
        root: the folder.
        seed: of every picture, and of the division of the source digits.
        counts: how many pictures.
        heights: the smallest and the largest height of a digit in a scene, in pixels; 4 to 16, and
            up to 100.
    Raises:
        UserError: a count is below 1 (10 for crops: one of each digit), heights that are out
            of their range, or root has other content.
    """
    for name, number in asdict(counts).items():
        least = 10 if name.endswith("crops") else 1
        if number < least:
            raise UserError(f"{name} is {number}; it must be at least {least}")
    _check_heights(*heights)
    manifest: dict[str, Any] = {**_FORMAT, "seed": seed, "counts": asdict(counts)}
    if heights != SCENE_HEIGHTS:
        manifest["heights"] = list(heights)
    if _is_written(root, manifest):
        return
    digits = source_splits(seed)
    with new_folder(root) as folder:
        for split, number in (("train", counts.train_crops), ("val", counts.val_crops)):
            _write_crops(folder / "classification" / split, digits[split], number, seed)
        scenes = (counts.train_scenes, counts.search_scenes, counts.val_scenes)
        numbers = dict(zip(SPLITS, scenes, strict=True))
        _write_detection(folder / "detection", digits, numbers, seed, heights)
        _write_json(folder / "manifest.json", manifest)


def _check_heights(smallest: float, largest: float) -> None:
    if not MIN_HEIGHT <= smallest <= SCENE_HEIGHTS[0]:
        raise UserError(
            f"the smallest height is {smallest:g}; it must be {MIN_HEIGHT:g} to "
            f"{SCENE_HEIGHTS[0]:g}, so that all digits fit in a scene"
        )
    if not smallest <= largest <= MAX_HEIGHT:
        raise UserError(
            f"the largest height is {largest:g}; it must be {smallest:g} to {MAX_HEIGHT:g}"
        )


def _is_written(root: Path, manifest: dict[str, Any]) -> bool:
    """Whether root has the data of `manifest`; UserError if it has other demo data."""
    path = root / "manifest.json"
    if not path.is_file():
        return False
    if json.loads(path.read_text()) != manifest:
        raise UserError(
            f"{root} has data of another seed, other counts or other heights; remove it or name "
            "another"
        )
    return True


def _stream(seed: int, name: str, index: int = 0) -> Generator:
    """A generator that depends on the seed, the purpose and the picture alone."""
    return np.random.default_rng([seed, _STREAM[name], index])


def _write_crops(folder: Path, digits: SourceDigits, number: int, seed: int) -> None:
    """Write `number` crops, one folder per digit; classes and source digits take turns."""
    pools = [np.flatnonzero(digits.values == value) for value in range(10)]
    for name in DIGITS:
        (folder / name).mkdir(parents=True)
    for index in range(number):
        value, turn = index % 10, index // 10
        source = pools[value][turn % len(pools[value])]
        crop = draw_crop(_stream(seed, f"crops/{folder.name}", index), digits.images[source])
        _write_picture(folder / DIGITS[value] / f"{index:05d}.png", crop)


def _write_detection(
    folder: Path,
    digits: dict[str, SourceDigits],
    numbers: dict[str, int],
    seed: int,
    heights: tuple[float, float],
) -> None:
    """Write the scenes of every split and the four annotation files."""
    (folder / "annotations").mkdir(parents=True)
    images: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    annotations: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    image_ids, annotation_ids = count(1), count(1)
    for split, part in digits.items():
        (folder / "images" / split).mkdir(parents=True)
        for index in range(numbers[split]):
            scene = draw_scene(_stream(seed, split, index), part.images, part.values, heights)
            name, image_id = f"{split}/{index:05d}.jpg", next(image_ids)
            _write_picture(folder / "images" / name, scene.picture)
            size = {"width": SCENE_SIZE, "height": SCENE_SIZE}
            images[split].append({"id": image_id, "file_name": name, **size})
            annotations[split] += [
                _annotation(digit, next(annotation_ids), image_id) for digit in scene.digits
            ]
    for records in (images, annotations):
        records["trainsearch"] = records["train"] + records["search"]
    for split in images:
        content = {
            "info": {"description": f"DetNAS demo digits, {split}"},
            "images": images[split],
            "annotations": annotations[split],
            "categories": CATEGORIES,
        }
        _write_json(folder / "annotations" / f"instances_{split}.json", content)


def _annotation(digit: PlacedDigit, annotation_id: int, image_id: int) -> dict[str, Any]:
    """The COCO record of one digit; its mask is run-length encoded."""
    runs = coco_mask.encode(np.asfortranarray(digit.mask, dtype=np.uint8))
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": digit.value + 1,
        "bbox": list(digit.box),
        "area": int(digit.mask.sum()),
        "segmentation": {"size": runs["size"], "counts": runs["counts"].decode("ascii")},
        "iscrowd": 0,
    }


def _write_picture(path: Path, picture: Picture) -> None:
    # Not cv2.imwrite: it reports failures only by its return value.
    options = _JPEG if path.suffix == ".jpg" else []
    encoded = cv2.imencode(path.suffix, picture[..., ::-1], options)[1]
    path.write_bytes(encoded.tobytes())


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")
