"""Chooses the crops that `detnas.data.crops` writes: boxes, background, and which are val."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detnas.data.boxes import Mask
from detnas.data.coco import CocoFile
from detnas.data.coco_mends import is_positive
from detnas.data.coco_records import AnnotationRecord, decoded
from detnas.data.crop_squares import Square, background_square, square_around
from detnas.data.split.make_split import draw_by_class, rarest_classes
from detnas.errors import UserError

_SMALLEST = 4.0  # pixels of a box's longer side
_VAL_SHARE = 0.1
_MOST_OF_MEDIAN = 5
_LEAST_BACKGROUND = 10
_TRIES = 20  # for each background crop
_STREAM = 14  # of random numbers; `detnas.data.split.groups` has 13


@dataclass(frozen=True)
class Crops:
    """Squares to cut: image (n,), category (n,), and left, top, side in pixels (n, 3)."""

    image: NDArray[np.int64]
    category: NDArray[np.int64]
    squares: NDArray[np.int64]

    def __getitem__(self, which: NDArray[np.int64]) -> "Crops":
        return Crops(self.image[which], self.category[which], self.squares[which])

    def joined(self, other: "Crops") -> "Crops":
        return Crops(
            np.concatenate([self.image, other.image]),
            np.concatenate([self.category, other.category]),
            np.concatenate([self.squares, other.squares]),
        )


def choose_crops(ann_file: Path, file: CocoFile, most: int, seed: int) -> tuple[Crops, Mask]:
    """The crops to write, and which images are val, (images,).

    The class after those of the file is background. A class that train or val lacks has no crops.

    Args:
        file: as read from `ann_file`, with the sizes of all images.
        most: crops in all.

    Raises:
        UserError: the size of an image is not known.
    """
    for image in file.images:
        if not (is_positive(image.width) and is_positive(image.height)):
            raise UserError(f"{ann_file}: the image {image.file_name} has no size, or is not found")
    rng = np.random.default_rng([seed, _STREAM])
    boxes = _boxes(ann_file, file)
    sizes = np.array([(image.width, image.height) for image in file.images], np.int64)
    usable = ~file.boxes["ignored"] & (boxes[:, 2:].max(1, initial=0) >= _SMALLEST)
    usable &= (boxes[:, 2:] > 0).all(1)
    images, categories = file.boxes["image"][usable], file.boxes["category"][usable]
    squares = [
        square_around(box, size) for box, size in zip(boxes[usable], sizes[images], strict=True)
    ]
    crops = Crops(images, categories, np.array(squares, np.int64).reshape(-1, 3))
    is_val = _val_images(file, crops, seed)
    crops = crops.joined(_background(file, boxes, sizes, crops, rng))
    return crops[_chosen(crops, is_val, len(file.categories), most, rng)], is_val


def _boxes(ann_file: Path, file: CocoFile) -> NDArray[np.float64]:
    """x, y, width, height of each annotation, cut to its image, (annotations, 4)."""
    records = decoded(ann_file, "annotations", file.records.annotations, AnnotationRecord)
    boxes = np.array([record.bbox for record in records], np.float64).reshape(-1, 4)
    sizes = np.array([(image.width, image.height) for image in file.images], np.float64)
    limits = sizes[file.boxes["image"]]
    first = np.clip(boxes[:, :2], 0, limits)
    last = np.clip(boxes[:, :2] + boxes[:, 2:], 0, limits)
    return np.concatenate([first, last - first], 1)


def _val_images(file: CocoFile, crops: Crops, seed: int) -> Mask:
    """A tenth of the images, over the classes in proportion; more where val would lack a class."""
    images = np.unique(crops.image)
    is_val = np.zeros(len(file.images), np.bool_)
    if len(images) < 2:
        return is_val
    classes = rarest_classes(len(file.images), file.boxes)[images]
    is_val[images[draw_by_class(classes, max(1, round(_VAL_SHARE * len(images))), seed)]] = True
    shown = np.zeros((len(file.images), len(file.categories)), np.bool_)
    shown[crops.image, crops.category] = True
    for category in np.argsort(shown.sum(0), kind="stable"):
        for lacking in (True, False):
            has = shown[:, category]
            if (has & (is_val == lacking)).any():
                continue
            for image in np.flatnonzero(has):
                rest = is_val == (not lacking)
                rest[image] = False
                if not (shown[image] & ~shown[rest].any(0)).any():
                    is_val[image] = lacking
                    break
    return is_val


def _background(
    file: CocoFile,
    boxes: NDArray[np.float64],
    sizes: NDArray[np.int64],
    crops: Crops,
    rng: np.random.Generator,
) -> Crops:
    """Squares without objects, of the sizes of the others, about as many as the median class."""
    numbers = np.bincount(crops.category)
    wanted = int(np.median(numbers[numbers > 0])) if len(crops.image) else 0
    found: list[tuple[int, Square]] = []
    order = np.argsort(file.boxes["image"], kind="stable")
    ends = np.searchsorted(file.boxes["image"][order], np.arange(1, len(file.images)))
    by_image = np.split(boxes[order], ends)
    for _ in range(_TRIES * wanted):
        if len(found) == wanted:
            break
        image = int(rng.integers(len(file.images)))
        side = int(crops.squares[rng.integers(len(crops.squares)), 2])
        square = background_square(by_image[image], sizes[image], side, rng)
        if square is not None:
            found.append((image, square))
    if len(found) < _LEAST_BACKGROUND:
        found = []
    images = np.array([image for image, _ in found], np.int64)
    squares = np.array([square for _, square in found], np.int64).reshape(-1, 3)
    return Crops(images, np.full(len(found), len(file.categories)), squares)


def _chosen(
    crops: Crops, is_val: Mask, background: int, most: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Positions of the crops to write: of each class up to its quota, both of train and of val."""
    in_val = is_val[crops.image]
    numbers = np.bincount(crops.category, minlength=background + 1)
    present = numbers[:background][numbers[:background] > 0]
    limit = round(_MOST_OF_MEDIAN * float(np.median(present))) if len(present) else 0
    quotas = _quota(np.minimum(numbers, limit), most)
    chosen = []
    for category, allowed in enumerate(quotas):
        parts = [np.flatnonzero((crops.category == category) & (in_val == val)) for val in (0, 1)]
        if not all(map(len, parts)):
            continue
        for_val = max(1, round(int(allowed) * len(parts[1]) / int(numbers[category])))
        for part, count in zip(parts, (max(1, int(allowed) - for_val), for_val), strict=True):
            chosen.append(rng.permutation(part)[:count])
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)


def _quota(numbers: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """How many of each class to take so that they are `most` at most: the large ones give way."""
    low, high = 0, int(numbers.max(initial=0))
    while low < high:
        level = (low + high + 1) // 2
        if int(np.minimum(numbers, level).sum()) <= most:
            low = level
        else:
            high = level - 1
    return np.minimum(numbers, low)
