"""Embeds pictures in an HTML page as base64, in a light and a dark version."""

import base64
import tempfile
from html import escape
from pathlib import Path
from typing import Protocol

from detnas.report.style import DARK, LIGHT, Theme


class Draw(Protocol):
    """Draws a picture in the colours of a theme."""

    def __call__(self, path: Path, *, theme: Theme) -> None: ...


def embedded(image: bytes) -> str:
    """The data URL of a PNG file's content."""
    return f"data:image/png;base64,{base64.b64encode(image).decode('ascii')}"


def picture(draw: Draw, alternative: str, caption: str = "") -> str:
    """A figure that follows the reader's light or dark setting.

    Args:
        draw: called once per theme.
        alternative: plain text that describes the picture, for screen readers.
        caption: plain text beneath it.
    """
    urls = []
    with tempfile.TemporaryDirectory() as folder:
        for theme in (LIGHT, DARK):
            path = Path(folder) / "picture.png"
            draw(path, theme=theme)
            urls.append(embedded(path.read_bytes()))
    light, dark = urls
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure><picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img alt="{escape(alternative)}" src="{light}"></picture>{below}</figure>'
    )
