"""Pictures that the page holds: whether their files are whole, and copies that are smaller."""

import io
from pathlib import Path
from typing import TypeVar

from PIL import Image

from detnas.errors import UserError
from detnas.search.detection_errors import DetectionErrors
from detnas.search.shown_images import ShownImages

JPEG_QUALITY = 80
_DAMAGES = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # that Pillow raises
Holder = TypeVar("Holder", ShownImages, DetectionErrors)


def as_jpeg(path: Path) -> bytes | None:
    """A picture as a JPEG file; None where there is none.

    Raises:
        UserError: it is damaged.
    """
    if not path.is_file():
        return None
    copy = io.BytesIO()
    try:
        with Image.open(path) as opened:
            opened.convert("RGB").save(copy, "JPEG", quality=JPEG_QUALITY)
    except _DAMAGES as error:
        raise UserError(f"{path}: not a readable picture ({error})") from None
    return copy.getvalue()


def check_pictures(path: Path, holder: Holder | None, field: str) -> Holder | None:
    """The content of a file whose images are all whole.

    Args:
        path: of the file, for the message.
        holder: its content; None where there is none.
        field: of `holder`, with the images.
    Raises:
        UserError: one of the images is damaged.
    """
    for image in () if holder is None else getattr(holder, field):
        try:
            with Image.open(io.BytesIO(image.jpeg)) as opened:
                opened.load()
        except _DAMAGES as error:
            raise UserError(
                f"{path}: the copy of {image.name} in it is not a readable picture ({error})"
            ) from None
    return holder
