"""Pictures inside an HTML page, as base64, in a light and a dark version."""

import base64
import tempfile
from html import escape
from pathlib import Path
from typing import Protocol

from detnas.report.style import DARK, LIGHT, Theme


class Draw(Protocol):
    """Draws one picture in a theme's colours."""

    def __call__(self, path: Path, *, theme: Theme) -> None: ...


def embedded(image: bytes) -> str:
    """A PNG file's content as the URL that holds it."""
    return f"data:image/png;base64,{base64.b64encode(image).decode('ascii')}"


def picture(draw: Draw, alternative: str, caption: str = "") -> str:
    """A figure that follows the reader's light or dark setting.

    Args:
        draw: called once a theme.
        alternative: what the picture shows, plain text, for readers who do not see it.
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
