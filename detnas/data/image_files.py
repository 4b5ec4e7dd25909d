"""What image files say of themselves: whether they can be read, and their size as loaders see it.

Only headers are read, and the last bytes, which show whether a file ends where it should. Results
are kept in the user's cache by path, size and time of change.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path

import cv2
from PIL import ExifTags, Image, UnidentifiedImageError

TAIL = 4096
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
"""What the last bytes of a whole file hold, by Pillow's name of the format."""

_XMP = ("xmp", "XML:com.adobe.xmp")
_READ_BY_OPENCV = frozenset({"JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM"})
_NOT_NOW = "cannot be read"
"""Begins a fault of the system, which is not cached: permissions, too many open files."""

MOST_ELONGATED = 100
"""How many times as long as the other a side may be: scaled down, it would have no pixel left."""

TURNED = frozenset({5, 6, 7, 8})
"""EXIF orientations that swap width and height."""

_SCHEMA = """CREATE TABLE IF NOT EXISTS images (
    path TEXT PRIMARY KEY, bytes INTEGER, modified_ns INTEGER,
    width INTEGER, height INTEGER, turned INTEGER, fault TEXT)"""
_READ_AT_ONCE = 500


@dataclass(frozen=True)
class ImageFile:
    """An image file.

    Attributes:
        width, height: in pixels, after the turn that EXIF asks for, as OpenCV and mmcv load it; 0
            if it cannot be read.
        turned: whether EXIF swaps width and height.
        fault: why it cannot be read; empty if it can.
    """

    width: int
    height: int
    turned: bool = False
    fault: str = ""

    def loaded_size(self, exif: bool = True) -> tuple[int, int]:
        """Width and height as a loader sees them that heeds EXIF, or one that does not."""
        return (self.height, self.width) if self.turned and not exif else (self.width, self.height)


def read_image(path: Path) -> ImageFile:
    """Read the header of one file, and its end."""
    try:
        if path.stat().st_size == 0:
            return _unreadable("is empty")
        with Image.open(path) as image:
            width, height = image.size
            for key in _XMP:  # Pillow takes an orientation from there; OpenCV does not
                image.info.pop(key, None)
            turned = image.getexif().get(ExifTags.Base.Orientation) in TURNED
            if image.format not in _READ_BY_OPENCV and not cv2.haveImageReader(str(path)):
                return _unreadable(f"is of a format that OpenCV does not read ({image.format})")
            if not _is_whole(path, image.format):
                image.load()  # decides: there may be other bytes after the end
    except FileNotFoundError:
        return _unreadable("does not exist")
    except UnidentifiedImageError:
        return _unreadable("is not an image")
    except Image.DecompressionBombError:
        return _unreadable(f"has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels")
    except OSError as error:
        if error.errno is None:  # Pillow's, of a damaged file
            return _unreadable(f"is damaged ({error})")
        return _unreadable(f"{_NOT_NOW} ({error.strerror})")
    except (SyntaxError, ValueError) as error:  # Pillow's errors of damaged files
        return _unreadable(f"is damaged ({error})")
    return ImageFile(*((height, width) if turned else (width, height)), turned)


def _unreadable(fault: str) -> ImageFile:
    return ImageFile(0, 0, fault=fault)


def _is_whole(path: Path, kind: str | None) -> bool:
    end = ENDS.get(kind or "")
    if end is None:
        return True
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        return end in file.read()


def read_images(paths: Sequence[Path], cache: Path | None = None) -> list[ImageFile]:
    """Read the headers of many files; those that have not changed come from the cache.

    Args:
        cache: an SQLite file; None takes the user's. It is left out where it cannot be written.
    """
    states = {path: _state(path) for path in paths}
    cache = default_cache() if cache is None else cache
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(cache, timeout=5)) as connection, connection:
            connection.execute(_SCHEMA)
            found = dict(_cached(connection, states))
            new = _read(path for path in states if path not in found)
            connection.executemany(
                "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (str(path), *states[path], *astuple(image))
                    for path, image in new.items()
                    if not image.fault.startswith(_NOT_NOW)
                ],
            )
    except (sqlite3.Error, OSError):
        found, new = {}, _read(states)
    found |= new
    return [_if_usable(found[path]) for path in paths]


def _if_usable(image: ImageFile) -> ImageFile:
    if max(image.width, image.height) <= MOST_ELONGATED * min(image.width, image.height):
        return image
    shape = f"{image.width}x{image.height}"
    return _unreadable(f"is {shape}, more than {MOST_ELONGATED} times as long as wide")


def default_cache() -> Path:
    """The file in the user's cache folder."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "detnas" / "images.sqlite"


def _state(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except (OSError, ValueError):  # a name with a zero byte is a ValueError
        return -1, -1
    return state.st_size, state.st_mtime_ns


def _cached(
    connection: sqlite3.Connection, states: Mapping[Path, tuple[int, int]]
) -> Iterator[tuple[Path, ImageFile]]:
    paths = list(states)
    for start in range(0, len(paths), _READ_AT_ONCE):
        part = {str(path): path for path in paths[start : start + _READ_AT_ONCE]}
        marks = ", ".join("?" * len(part))
        for name, size, modified, width, height, turned, fault in connection.execute(
            f"SELECT * FROM images WHERE path IN ({marks})", list(part)
        ):
            path = part[name]
            if states[path] == (size, modified) != (-1, -1):
                yield path, ImageFile(width, height, bool(turned), fault)


def _read(paths: Iterable[Path]) -> dict[Path, ImageFile]:
    listed = list(paths)
    with ThreadPoolExecutor() as pool:
        return dict(zip(listed, pool.map(read_image, listed), strict=True))
