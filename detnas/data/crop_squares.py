"""Squares to cut from images: around boxes, and where there are none."""

import cv2
import numpy as np
from numpy.typing import NDArray

CONTEXT = 1.25
"""Side of a square, in longer sides of its box."""
MOST_OVERLAP = 0.1
"""Intersection over union up to which a square shows background."""
MOST_COVERED = 0.5
"""Share of a box up to which a square may show it and be background: IoU ignores small boxes."""

Square = tuple[int, int, int]
"""Left, top, side in pixels; it may reach over the border of a smaller image."""


def square_around(box: NDArray[np.float64], size: NDArray[np.int64]) -> Square:
    """The square around a box, moved to lie inside its image where it can.

    Args:
        box: x, y, width, height in pixels.
        size: width and height of the image.
    """
    side = max(1, round(CONTEXT * float(box[2:].max())))
    left, top = (
        _placed(float(start + length / 2), side, int(limit))
        for start, length, limit in zip(box[:2], box[2:], size, strict=True)
    )
    return left, top, side


def _placed(centre: float, side: int, limit: int) -> int:
    if side > limit:
        return (limit - side) // 2
    return min(max(round(centre - side / 2), 0), limit - side)


def background_square(
    boxes: NDArray[np.float64], size: NDArray[np.int64], side: int, rng: np.random.Generator
) -> Square | None:
    """A random square in an image that shows none of its boxes, if the first that is tried does.

    Args:
        boxes: of the image, (n, 4).
    """
    side = min(side, int(size.min()))
    left, top = (int(rng.integers(int(limit) - side + 1)) for limit in size)
    corner = np.array([left, top])
    first = np.maximum(boxes[:, :2], corner)
    last = np.minimum(boxes[:, :2] + boxes[:, 2:], corner + side)
    shared = np.clip(last - first, 0, None).prod(1)
    areas = boxes[:, 2:].prod(1)
    overlaps = shared > MOST_OVERLAP * (areas + side**2 - shared)
    covers = shared > MOST_COVERED * areas
    return None if (overlaps | covers).any() else (left, top, side)


def cut(pixels: NDArray[np.uint8], square: Square, side: int) -> NDArray[np.uint8]:
    """The square of an image (height, width, 3), resized to `side`; its border is repeated."""
    left, top, width = square
    height, length = pixels.shape[:2]
    before = (max(0, -top), max(0, -left))
    after = (max(0, top + width - height), max(0, left + width - length))
    part = pixels[max(0, top) : top + width, max(0, left) : left + width]
    if any((*before, *after)):
        pad = [(before[0], after[0]), (before[1], after[1]), (0, 0)]
        part = np.pad(part, pad, mode="edge")
    smaller = width > side
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (side, side), interpolation=how), np.uint8)
