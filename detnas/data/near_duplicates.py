"""Groups images that show nearly the same, so that a split keeps them on one side.

Such are copies of another size, quality or brightness, and neighbouring frames of a video. A hash
of 64 bits finds candidates, and the fine detail of small greyscale copies decides: images that only
look alike, such as two fields under one microscope, differ there. Mirrored copies are not found.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from detnas.errors import UserError

HASH_BITS = 10
"""Differing bits of 64 up to which two images are compared further."""
ALIKE = 0.7
"""Correlation of the fine detail from which two images show nearly the same.

Of 364 blood cell images and 774 photographs of COCO, no pair within HASH_BITS but one reaches 0.3
(that one, 0.95, is a duplicate). Copies of other size, quality, brightness or contrast have 0.93 or
more, and copies that lack a margin of 2 % have 0.69 or more.
"""

_SIDE = 32
_FINE = 2.0  # standard deviation in pixels of the blur that is subtracted
_LEAST_DETAIL = 1.0  # grey levels; below it, detail is noise of the encoder
_BANDS = 4
_FLIPS = (0, *(1 << bit for bit in range(16)))
_WINDOW = 64  # images compared with each one of a band; longer runs are as good as sorted
_AT_ONCE = 4096

_BITS_SET = np.array([bin(number).count("1") for number in range(1 << 16)], np.uint8)

Pairs = NDArray[np.int64]
Progress = Callable[[int, int], None]


def near_duplicate_groups(
    images: Sequence[Path], progress: Progress | None = None
) -> NDArray[np.int64]:
    """A group number for each image, int64 (images,); those that show nearly the same share one.

    Groups are numbered from 0 in the order of their first images. Images that differ by up to 7
    bits of their hashes are compared, and most of those that differ by 8 to 10.

    Args:
        progress: called with the images read so far, and with all.

    Raises:
        UserError: an image cannot be read.
    """
    count = len(images)
    hashes = np.zeros((count, _BANDS), np.uint16)
    small = np.zeros((count, _SIDE, _SIDE), np.uint8)
    with ThreadPoolExecutor() as pool:
        for place, (code, thumbnail) in enumerate(pool.map(_read, images)):
            hashes[place], small[place] = code, thumbnail
            if progress:
                progress(place + 1, count)
    _, first, copy_of = np.unique(
        small.reshape(count, _SIDE * _SIDE), axis=0, return_index=True, return_inverse=True
    )
    edges = [np.stack([np.arange(count), first[copy_of.ravel()]], 1)]
    detail = _detail(small[first])
    edges += [first[pairs] for pairs in _alike(hashes[first], detail)]
    return _numbered(np.concatenate(edges), count)


def _read(path: Path) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """The hash of an image in bands, (4,), and its greyscale copy of 32x32 pixels."""
    try:
        with Image.open(path) as image:
            image.draft("L", (2 * _SIDE, 2 * _SIDE))
            grey = _eight_bits(image).convert("L")
            if max(grey.size) > 8 * _SIDE:
                grey.thumbnail((8 * _SIDE, 8 * _SIDE), reducing_gap=2.0)
            grey.info["exif"] = image.info.get("exif", b"")
            ImageOps.exif_transpose(grey, in_place=True)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} cannot be read ({error}); replace or remove it") from error
    bits = imagehash.phash(grey).hash
    thumbnail = grey.resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.packbits(bits).view(np.uint16), np.asarray(thumbnail)


def _eight_bits(image: Image.Image) -> Image.Image:
    """An image of 16 or 32 bits in 8, over its own range; Pillow would cut it at 255."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image, np.float64)
    low, high = float(values.min()), float(values.max())
    return Image.fromarray(((values - low) * (255 / ((high - low) or 1))).astype(np.uint8))


def _detail(small: NDArray[np.uint8]) -> NDArray[np.float16]:
    """The fine detail of each greyscale copy, of length 1, or 0 where there is none, (n, 1024)."""
    result = np.zeros((len(small), _SIDE * _SIDE), np.float16)
    for start in range(0, len(small), _AT_ONCE):
        part = small[start : start + _AT_ONCE].astype(np.float32)
        part -= gaussian_filter(part, (0, _FINE, _FINE))
        flat = part.reshape(len(part), -1)
        flat -= flat.mean(1, keepdims=True)
        length = np.linalg.norm(flat, axis=1, keepdims=True)
        has_detail = length >= _LEAST_DETAIL * _SIDE
        result[start : start + _AT_ONCE] = np.where(has_detail, flat / np.maximum(length, 1), 0)
    return result


def _alike(hashes: NDArray[np.uint16], detail: NDArray[np.float16]) -> Iterator[Pairs]:
    for pairs in _candidates(hashes):
        differing = _BITS_SET[hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]].sum(1, dtype=np.int64)
        near = pairs[differing <= HASH_BITS]
        for start in range(0, len(near), _AT_ONCE):
            part = near[start : start + _AT_ONCE]
            one, other = (detail[part[:, side]].astype(np.float32) for side in (0, 1))
            yield part[np.einsum("ij,ij->i", one, other) >= ALIKE]


def _candidates(hashes: NDArray[np.uint16]) -> Iterator[Pairs]:
    """Pairs with a band that is equal but for one bit at most; at most _WINDOW for each image."""
    everyone = np.arange(len(hashes))
    for band, flip in product(range(_BANDS), _FLIPS):
        others = [hashes[:, (band + turn) % _BANDS] for turn in range(_BANDS)]
        order = np.lexsort(others[::-1])  # within a run of equal bands, like ones are neighbours
        keys = hashes[order, band]
        wanted = keys ^ np.uint16(flip)
        first, last = (np.searchsorted(keys, wanted, side) for side in ("left", "right"))
        if not flip:
            first = everyone + 1
        found = np.minimum(np.maximum(last - first, 0), _WINDOW)
        one = np.repeat(everyone, found)
        step = np.arange(len(one)) - np.repeat(np.cumsum(found) - found, found)
        other = np.repeat(first, found) + step
        forward = one < other
        yield order[np.stack([one[forward], other[forward]], 1)]


def _numbered(edges: Pairs, count: int) -> NDArray[np.int64]:
    graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), (count, count))
    _, labels = connected_components(graph, directed=False)
    _, first, place = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return rank[place.ravel()].astype(np.int64)
