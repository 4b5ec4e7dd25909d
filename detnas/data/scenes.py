"""Draws the demo pictures: one digit on a background (a crop), or several digits (a scene).

A source digit is an 8x8 image of scikit-learn. It is enlarged, sharpened, rotated a little, and
painted lighter or darker than the background beneath it. Every picture is a function of the random
generator passed in. Pictures are uint8 RGB, masks are bool.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from detnas.data.backgrounds import LUMA, Array, colour_of, draw_background

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]  # x, y, width, height in pixels

CROP_SIZE = 48
CROP_HEIGHTS = (24.0, 42.0)
SCENE_SIZE = 160
SCENE_HEIGHTS = (16.0, 64.0)
MIN_HEIGHT, MAX_HEIGHT = 4.0, 100.0  # that a digit in a scene may have; it can be wider than high
SCENE_DIGITS = (3, 8)
MAX_COVER = 0.15  # largest share of the smaller of two boxes that the other may cover
MAX_TURN = 12.0  # degrees
MIN_CONTRAST = 0.42  # in luminance, between the ink and the background beneath it
TRIES = 25  # random positions to try before a digit is made smaller

_MARGIN = 2  # empty cells around the 8x8 digit, so that rotation cuts nothing off
_ENLARGED = 16  # pixels per cell before the final scaling


@dataclass(frozen=True)
class PlacedDigit:
    """A digit in a scene: its value 0-9 and its visible ink as a (SCENE_SIZE, SCENE_SIZE) mask."""

    value: int
    mask: Mask

    @property
    def box(self) -> Box:
        """The tight box of the visible ink."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        x, y = int(columns[0]), int(rows[0])
        return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


@dataclass(frozen=True)
class Scene:
    """A picture of shape (SCENE_SIZE, SCENE_SIZE, 3) and its digits."""

    picture: Picture
    digits: tuple[PlacedDigit, ...]


def draw_glyph(digit: Array, height: float, turn: float) -> Array:
    """The opacity in [0, 1] of an 8x8 `digit` (values 0-16), cropped to its ink.

    `height` is the height of the ink in pixels before rotation; `turn` is in degrees,
    counter-clockwise.
    """
    cells = np.pad(digit.astype(np.float32) / 16, _MARGIN)
    side = cells.shape[0] * _ENLARGED
    large = cv2.resize(cells, (side, side), interpolation=cv2.INTER_CUBIC)
    # Sharpen the blurred outline to a ramp of about a quarter of a cell.
    large = np.clip((large - 0.38) / 0.16, 0, 1)
    ink_rows = np.flatnonzero((large > 0.5).any(axis=1))
    scale = height / (ink_rows[-1] - ink_rows[0] + 1)

    reduced = cv2.resize(large, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    centre = ((reduced.shape[1] - 1) / 2, (reduced.shape[0] - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, turn, 1)
    rotated = cv2.warpAffine(reduced, matrix, reduced.shape[::-1], flags=cv2.INTER_LINEAR)
    turned = np.asarray(rotated, dtype=np.float32)
    ink = turned > ink_level(turned)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return turned[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def ink_level(glyph: Array) -> float:
    """The opacity above which a pixel is ink.

    It is 0.5, or half of the greatest opacity in a glyph so small that no stroke fills a pixel.
    """
    greatest = float(glyph.max())
    return 0.5 if greatest > 0.75 else greatest / 2


def lay_ink(rng: Generator, canvas: Array, glyph: Array, x: int, y: int) -> None:
    """Paint `glyph` in a random colour on `canvas`, in place, with its top left corner at (x, y).

    The ink is lighter or darker than the background beneath by at least MIN_CONTRAST in luminance;
    if both are possible, they are equally likely.
    """
    height, width = glyph.shape
    beneath = canvas[y : y + height, x : x + width]
    luminance = float((beneath @ LUMA).mean())
    darker, lighter = luminance - MIN_CONTRAST, luminance + MIN_CONTRAST
    light = lighter <= 1 and (darker < 0 or rng.random() < 0.5)
    ink = colour_of(rng, rng.uniform(lighter, 1) if light else rng.uniform(0, darker))
    opacity = glyph[..., None]
    beneath += opacity * (ink - beneath)


def _to_picture(canvas: Array) -> Picture:
    return (canvas * 255 + 0.5).astype(np.uint8)


def draw_crop(rng: Generator, digit: Array) -> Picture:
    """One 8x8 `digit` at a random position and size: a picture (CROP_SIZE, CROP_SIZE, 3)."""
    canvas = draw_background(rng, CROP_SIZE)
    glyph = draw_glyph(digit, rng.uniform(*CROP_HEIGHTS), rng.uniform(-MAX_TURN, MAX_TURN))
    height, width = glyph.shape
    x, y = rng.integers(CROP_SIZE - width + 1), rng.integers(CROP_SIZE - height + 1)
    lay_ink(rng, canvas, glyph, int(x), int(y))
    return _to_picture(canvas)


def _cover(a: Box, b: Box) -> float:
    """The share of the smaller of two boxes that the other covers."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0) / min(a[2] * a[3], b[2] * b[3])


def _place(
    rng: Generator, digit: Array, height: float, smallest: float, taken: list[Box]
) -> tuple[Array, int, int]:
    """A glyph and a free position for it.

    The glyph is made smaller until it fits, but not smaller than `smallest`.
    """
    turn = rng.uniform(-MAX_TURN, MAX_TURN)
    while True:
        glyph = draw_glyph(digit, height, turn)
        rows, columns = glyph.shape
        for _ in range(TRIES):
            x = int(rng.integers(SCENE_SIZE - columns + 1))
            y = int(rng.integers(SCENE_SIZE - rows + 1))
            if all(_cover((x, y, columns, rows), other) <= MAX_COVER for other in taken):
                return glyph, x, y
        height = max(smallest, 0.85 * height)


def draw_scene(
    rng: Generator,
    digits: Array,
    values: NDArray[np.int64],
    heights: tuple[float, float] = SCENE_HEIGHTS,
) -> Scene:
    """A scene of 3 to 8 different source digits.

    Boxes cover at most MAX_COVER of each other; where digits overlap, the later one is visible.

    Args:
        digits: (N, 8, 8), the source digits to choose from.
        values: (N,), what each of them shows.
        heights: the smallest and the largest height of a digit before rotation, in pixels. With a
            smallest height above that of SCENE_HEIGHTS the digits might not fit in.
    """
    count = int(rng.integers(SCENE_DIGITS[0], SCENE_DIGITS[1] + 1))
    chosen = rng.choice(len(digits), count, replace=False)
    # Log-uniform; the largest digit is placed first, as it is the hardest to place.
    low, high = np.log(heights)
    drawn = np.sort(np.exp(rng.uniform(low, high, count)))[::-1]

    canvas = draw_background(rng, SCENE_SIZE)
    owner = np.full((SCENE_SIZE, SCENE_SIZE), -1)
    taken: list[Box] = []
    for order, (index, height) in enumerate(zip(chosen, drawn, strict=True)):
        glyph, x, y = _place(rng, digits[index], float(height), heights[0], taken)
        rows, columns = glyph.shape
        lay_ink(rng, canvas, glyph, x, y)
        owner[y : y + rows, x : x + columns][glyph > ink_level(glyph)] = order
        taken.append((x, y, columns, rows))
    placed = tuple(PlacedDigit(int(values[index]), owner == i) for i, index in enumerate(chosen))
    return Scene(_to_picture(canvas), placed)
