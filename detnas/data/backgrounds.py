"""Textured backgrounds of the demo pictures: gradients, noise, stripes, checks, blobs, cells.

A background is a pattern in [0, 1] that blends two colours. Their luminance differs little, so that
a digit of another luminance stands out everywhere. Colours are float RGB in [0, 1].
"""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.float32]

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
GRAIN = 0.015  # standard deviation of the noise added to every background
MAX_SPAN = 0.14  # largest difference in luminance between the two colours


def colour_of(rng: Generator, luminance: float) -> Array:
    """A random colour, shape (3,), of the given luminance in [0, 1]."""
    tint = rng.random(3, dtype=np.float32)
    hue = tint - tint @ LUMA
    # The most saturated colour of this hue and luminance has one channel at 0 or at 1.
    room = np.where(hue > 0, 1 - luminance, luminance) / np.maximum(np.abs(hue), 1e-6)
    chroma = min(rng.uniform(0.05, 0.3), float(room.min()))
    return (luminance + chroma * hue).astype(np.float32)


def _axes(rng: Generator, size: int) -> tuple[Array, Array]:
    """Coordinates of every pixel along two perpendicular axes at a random angle, in [-0.7, 0.7]."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _smooth_noise(rng: Generator, size: int, cells: int) -> Array:
    """Noise that varies over about size / cells pixels, stretched to [0, 1]."""
    coarse = rng.random((cells, cells), dtype=np.float32)
    noise = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    return (noise - noise.min()) / (noise.max() - noise.min())


def _linear(rng: Generator, size: int) -> Array:
    along, _ = _axes(rng, size)
    return np.clip(along + 0.5, 0, 1)


def _radial(rng: Generator, size: int) -> Array:
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    centre_x, centre_y = rng.uniform(0, 1, 2)
    return np.clip(np.hypot(x - centre_x, y - centre_y) / 0.9, 0, 1)


def _clouds(rng: Generator, size: int) -> Array:
    octaves = [_smooth_noise(rng, size, 3 * 2**i) / 2**i for i in range(4)]
    total = np.sum(octaves, axis=0)
    return (total - total.min()) / (total.max() - total.min())


def _weave(rng: Generator, size: int) -> Array:
    """Fine noise, stretched along one axis."""
    rows, columns = (size // 2, size // 16) if rng.random() < 0.5 else (size // 16, size // 2)
    coarse = rng.random((rows, columns), dtype=np.float32)
    return np.clip(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR), 0, 1)


def _stripes(rng: Generator, size: int) -> Array:
    along, across = _axes(rng, size)
    bend = rng.uniform(0, 0.06) * np.sin(2 * np.pi * across * rng.uniform(1, 3))
    wave = np.sin(2 * np.pi * (along + bend) * rng.uniform(3, 12))
    return np.clip(0.5 + wave * rng.uniform(0.5, 1.5), 0, 1)


def _checks(rng: Generator, size: int) -> Array:
    frequency = rng.uniform(2, 6)
    along, across = _axes(rng, size)
    wave = np.sin(2 * np.pi * frequency * along) * np.sin(2 * np.pi * frequency * across)
    return np.clip(0.5 + 2 * wave, 0, 1)


def _blobs(rng: Generator, size: int) -> Array:
    noise = _smooth_noise(rng, size, int(rng.integers(5, 12)))
    return np.clip((noise - 0.5) * rng.uniform(3, 10) + 0.5, 0, 1)


def _cells(rng: Generator, size: int) -> Array:
    """Shade by distance to the nearest of a few random points."""
    points = rng.uniform(0, size, (int(rng.integers(12, 40)), 2))
    away = np.full((size, size), 255, dtype=np.uint8)
    away[points[:, 0].astype(int), points[:, 1].astype(int)] = 0
    distance = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return (distance / distance.max()).astype(np.float32)


PATTERNS = (_linear, _radial, _clouds, _weave, _stripes, _checks, _blobs, _cells)


def draw_background(rng: Generator, size: int) -> Array:
    """A background of a random pattern, shape (size, size, 3), float RGB in [0, 1]."""
    pattern = PATTERNS[rng.integers(len(PATTERNS))](rng, size)[..., None]
    span = rng.uniform(0.04, MAX_SPAN)
    low = rng.uniform(0.05, 0.95 - span)
    first, second = colour_of(rng, low), colour_of(rng, low + span)
    grain = rng.normal(0, GRAIN, (size, size, 1))
    return np.clip(first + (second - first) * pattern + grain, 0, 1).astype(np.float32)
