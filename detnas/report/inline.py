"""Figures as SVG inside the page: readable on a phone, in the colours of the reader's theme.

matplotlib draws each figure twice, for a wide and for a narrow page, in marker colours that this
module replaces by the page's CSS variables. The stylesheet shows the one that fits.
"""

import re
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

from markupsafe import Markup

from detnas.report.style import NARROW, RAMP_STEPS, WIDE, Theme

_VARIABLES = ("paper", "panel", "ink", "muted", "line", "accent", "alarm")
_MARKERS = {f"#a1{number:02x}01": name for number, name in enumerate(_VARIABLES)}
_RAMP = {f"#a1{number:02x}02": f"ramp-{number}" for number in range(RAMP_STEPS)}
PAGE = Theme(**dict(zip(_VARIABLES, _MARKERS, strict=True)), ramp=tuple(_RAMP))  # type: ignore[arg-type]
"""Marker colours in place of the page's."""

_FONT = re.compile(r"font-family:[^;\"]*|(?<=px )'[^;\"]*")
_SIZES = re.compile(r"<svg\s[^>]*?viewBox=\"([^\"]*)\"[^>]*>")
Draw = Callable[..., None]


class Figures:
    """Draws the figures of one page; their ids do not clash."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def draw(self, draw: Draw) -> tuple[Markup, Markup]:
        """The wide and the narrow SVG of a figure.

        Args:
            draw: takes a path, `theme` and `size`, as the functions of this package do.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "figure.svg"
            texts = []
            for size in (WIDE, NARROW):
                draw(path, theme=PAGE, size=size)
                texts.append(Markup(self._inlined(path.read_text(encoding="utf-8"))))
        return texts[0], texts[1]

    def _inlined(self, text: str) -> str:
        prefix = f"f{next(self._numbers)}-"
        text = text[text.index("<svg") :]
        text = _SIZES.sub(r'<svg viewBox="\1" aria-hidden="true">', text, count=1)
        for part in (r"<metadata>.*?</metadata>", r"<style .*?</style>"):
            text = re.sub(part, "", text, flags=re.DOTALL)
        text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
        text = re.sub(r'\sid="', f' id="{prefix}', text)
        text = re.sub(r'xlink:href="#', f'href="#{prefix}', text)
        text = text.replace("url(#", f"url(#{prefix}")
        text = _FONT.sub(lambda found: "" if found[0].startswith("f") else "inherit", text)
        for marker, name in {**_MARKERS, **_RAMP}.items():
            text = text.replace(marker, f"var(--{name})")
        return re.sub(r"\n\s*", "\n", text)
