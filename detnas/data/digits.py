"""The embedded demo data: handwritten digits on textured grounds, to classify and to detect.

Source: the 1,797 8x8 images that scikit-learn ships (UCI "Optical Recognition of Handwritten
Digits", test part), so nothing is downloaded. Under its root, `write_digits` makes

    manifest.json                                            seed and counts
    classification/{train,val}/<digit>/*.png                 crops, for pretraining
    detection/images/{train,search,val}/*.jpg                scenes of 3 to 8 digits
    detection/annotations/instances_{train,search,val,trainsearch}.json   COCO, boxes and masks

File names in the annotations are relative to `detection/images`. No source digit appears in two of
train, search and val, crops of train and val included. Image and annotation ids run on from one
file to the next, so that `trainsearch` is train and search joined.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from detnas.data.folders import new_folder
from detnas.data.grounds import Array
from detnas.data.scenes import SCENE_SIZE, Picture, PlacedDigit, draw_crop, draw_scene
from detnas.errors import UserError

DIGITS = tuple(str(value) for value in range(10))
CATEGORIES = [{"id": value + 1, "name": name} for value, name in enumerate(DIGITS)]
SPLITS = ("train", "search", "val")
SHARES = (0.7, 0.15, 0.15)  # of the source digits of each class

_FORMAT = {"format": "detnas-digits", "version": 1}
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92]
# First word of each stream of random numbers, after the seed; the last is the picture's index.
_STREAM = {"split": 0, "crops/train": 1, "crops/val": 2, "train": 3, "search": 4, "val": 5}


@dataclass(frozen=True)
class DigitCounts:
    """How many pictures to draw: crops to classify and scenes to detect in."""

    train_crops: int = 4000
    val_crops: int = 500
    train_scenes: int = 600
    search_scenes: int = 120
    val_scenes: int = 150


DEFAULT_COUNTS = DigitCounts()


@dataclass(frozen=True)
class SourceDigits:
    """Some of the source digits: images (N, 8, 8) in 0-16, values 0-9 (N,), indices (N,)."""

    images: Array
    values: NDArray[np.int64]
    indices: NDArray[np.int64]


def source_splits(seed: int) -> dict[str, SourceDigits]:
    """The source digits in three parts without a common image, each class in the same SHARES."""
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


def write_digits(root: Path, seed: int = 0, counts: DigitCounts = DEFAULT_COUNTS) -> None:
    """Write the demo data under `root`; the same seed and counts give the same bytes.

    A root that already holds the data of this seed and these counts is left as it is. It appears
    whole or not at all. ValueError when a count is below 1 (10 for crops: one of each digit), or
    when root holds anything else.
    """
    _check_counts(counts)
    manifest = {**_FORMAT, "seed": seed, "counts": asdict(counts)}
    if _holds(root, manifest):
        return
    digits = source_splits(seed)
    with new_folder(root) as folder:
        for split, number in (("train", counts.train_crops), ("val", counts.val_crops)):
            _write_crops(folder / "classification" / split, digits[split], number, seed)
        scenes = (counts.train_scenes, counts.search_scenes, counts.val_scenes)
        _write_detection(folder / "detection", digits, dict(zip(SPLITS, scenes, strict=True)), seed)
        _write_json(folder / "manifest.json", manifest)


def _check_counts(counts: DigitCounts) -> None:
    for name, count in asdict(counts).items():
        least = 10 if name.endswith("crops") else 1
        if count < least:
            raise UserError(f"{name} is {count}; it must be at least {least}")


def _holds(root: Path, manifest: dict[str, Any]) -> bool:
    """Whether root holds the data that `manifest` describes; ValueError if those of another."""
    path = root / "manifest.json"
    if not path.is_file():
        return False
    if json.loads(path.read_text()) != manifest:
        raise UserError(
            f"{root} holds demo data of another seed or other counts; remove it or name another"
        )
    return True


def _stream(seed: int, name: str, index: int = 0) -> Generator:
    """Random numbers that depend on the seed, the purpose and the picture, on nothing before."""
    return np.random.default_rng([seed, _STREAM[name], index])


def _write_crops(folder: Path, digits: SourceDigits, number: int, seed: int) -> None:
    """`number` crops in one folder a digit, classes in turn, source digits of a class in turn."""
    pools = [np.flatnonzero(digits.values == value) for value in range(10)]
    for name in DIGITS:
        (folder / name).mkdir(parents=True)
    for index in range(number):
        value, turn = index % 10, index // 10
        source = pools[value][turn % len(pools[value])]
        crop = draw_crop(_stream(seed, f"crops/{folder.name}", index), digits.images[source])
        _write_picture(folder / DIGITS[value] / f"{index:05d}.png", crop)


def _write_detection(
    folder: Path, digits: dict[str, SourceDigits], numbers: dict[str, int], seed: int
) -> None:
    """The scenes of every split and the four annotation files."""
    (folder / "annotations").mkdir(parents=True)
    records: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {}
    image_id = annotation_id = 1
    for split in SPLITS:
        (folder / "images" / split).mkdir(parents=True)
        images, annotations = [], []
        for index in range(numbers[split]):
            part = digits[split]
            scene = draw_scene(_stream(seed, split, index), part.images, part.values)
            name = f"{split}/{index:05d}.jpg"
            _write_picture(folder / "images" / name, scene.picture)
            size = {"width": SCENE_SIZE, "height": SCENE_SIZE}
            images.append({"id": image_id, "file_name": name, **size})
            for digit in scene.digits:
                annotations.append(_annotation(digit, annotation_id, image_id))
                annotation_id += 1
            image_id += 1
        records[split] = images, annotations
    train, search = records["train"], records["search"]
    records["trainsearch"] = train[0] + search[0], train[1] + search[1]
    for split, (images, annotations) in records.items():
        content = {"images": images, "annotations": annotations, "categories": CATEGORIES}
        info = {"description": f"DetNAS demo digits, {split}"}
        _write_json(folder / "annotations" / f"instances_{split}.json", {"info": info, **content})


def _annotation(digit: PlacedDigit, annotation_id: int, image_id: int) -> dict[str, Any]:
    """The COCO record of one digit; the mask as compressed run lengths."""
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
    # Encoded in memory: cv2.imwrite reports failure only by its return value.
    options = _JPEG if path.suffix == ".jpg" else []
    encoded = cv2.imencode(path.suffix, picture[..., ::-1], options)[1]
    path.write_bytes(encoded.tobytes())


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")
