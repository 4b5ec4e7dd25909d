"""Shared by the pictures and the page: colours, text of costs and scores, saving a figure.

Block choices have the same colours everywhere; `search_space.choices` defines them.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib.style
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from detnas.console import say_once
from detnas.errors import UserError
from detnas.files import replacing
from detnas.search.costs import size_text
from search_space.cost import COSTS

FORMATS = (".png", ".svg")
DPI = 160
"""Pixels per inch of a saved PNG."""
BLACK, WHITE = "#14202b", "#ffffff"
TIMES = "\N{MULTIPLICATION SIGN}"
Size = tuple[float, float]
WIDE, NARROW = (9.6, 4.5), (3.6, 3.7)
"""Of a figure in inches: on a laptop and on a phone. The text has the same size in both."""

RAMP_STEPS = 8
_FONTS = (
    *("DejaVu Sans", "Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR"),
    *("Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback"),
    *("PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic"),
    *("Arial Unicode MS", "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Sans Thai"),
)
_SIDES = re.compile(r"(\d+)x(\d+)")
_MISSING_GLYPH = re.compile(r"Glyph \d+ \(.*\) missing from font|Matplotlib currently does not")


@dataclass(frozen=True)
class Theme:
    """The colours of a picture; `ramp` is for the generations, from first to last."""

    paper: str
    panel: str
    ink: str
    muted: str
    line: str
    accent: str
    alarm: str
    ramp: tuple[str, ...]


def _ramp(*stops: str) -> tuple[str, ...]:
    """Colours that pass through the stops at even steps."""
    colours = LinearSegmentedColormap.from_list("ramp", stops)
    return tuple(to_hex(colours(step / (RAMP_STEPS - 1))) for step in range(RAMP_STEPS))


LIGHT = Theme(
    paper=WHITE,
    panel="#f1f4f7",
    ink=BLACK,
    muted="#5d6a77",
    line="#ccd4db",
    accent="#ad4b05",
    alarm="#c22f2f",
    ramp=_ramp("#b5d9c9", "#5aaeb0", "#2f7a9e", "#2f3f7d"),
)
DARK = Theme(
    paper="#12181f",
    panel="#1c252e",
    ink="#e6ebf0",
    muted="#98a5b1",
    line="#3a4652",
    accent="#f5a04a",
    alarm="#ff7a70",
    ramp=_ramp("#2f4a75", "#35789c", "#52b3ae", "#c9efd0"),
)


def ink_on(fill: str) -> str:
    """The text colour, black or white, with the greater contrast on a fill "#rrggbb"."""
    red, green, blue = (
        (channel / 12.92) if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in to_rgb(fill)
    )
    return BLACK if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 else WHITE


@cache
def _fonts() -> list[str]:
    """Those of `_FONTS` that are installed; a character is drawn by the first that has it."""
    installed = {font.name for font in fontManager.ttflist}
    return [name for name in _FONTS if name in installed]


@contextmanager
def themed(theme: Theme) -> Iterator[None]:
    """Within the block, matplotlib uses the colours of `theme` and ignores the user's settings.

    All text is drawn as it is: a "$" in the name of a score, a class or a stage begins no formula.
    """
    settings = {
        "text.parse_math": False,
        "font.family": _fonts(),
        "figure.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "axes.edgecolor": theme.line,
        "axes.labelcolor": theme.ink,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid.axis": "y",
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": theme.line,
        "grid.linewidth": 0.5,
        "text.color": theme.ink,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "font.size": 9.0,
        "legend.frameon": False,
        "svg.hashsalt": "detnas",
        "svg.fonttype": "none",  # the reader's fonts, and text that can be searched
    }
    with matplotlib.style.context(["default", settings]):
        yield


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure atomically, as PNG or SVG by the suffix of `path`; UserError for others."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise UserError(f"{path}: the name of a picture must end in {' or '.join(FORMATS)}")
    # Without the date, equal pictures are equal files.
    metadata = {"Date": None} if suffix == ".svg" else {}
    with replacing(path) as temporary, _missing_glyphs_in_one_line(path):
        figure.savefig(temporary, dpi=DPI, metadata=metadata, format=suffix[1:])


@contextmanager
def _missing_glyphs_in_one_line(path: Path) -> Iterator[None]:
    """One line in place of matplotlib's warnings of characters that no installed font has.

    An SVG has its text as text, which its reader's fonts draw: it lacks nothing.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    missing = False
    for each in caught:
        if _MISSING_GLYPH.match(str(each.message)):
            missing = True
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    if missing and path.suffix.lower() != ".svg":
        say_once(
            f"{path.name}: no installed font has some of its characters, which are drawn as boxes; "
            "install one that has them, such as Noto Sans CJK"
        )


def cost_name(name: str) -> str:
    """The readable name of a cost: "MACs" for "macs", "latency" for "latency_ms".

    The size of images in a name, such as "macs@96x160", is height x width; texts say it as
    `readable_size` does.
    """
    base, at, size = name.partition("@")
    label = COSTS[base].label if base in COSTS else base
    sides = _SIDES.fullmatch(size)
    where = size if sides is None else readable_size(int(sides[1]), int(sides[2]))
    return f"{label} at {where}" if at else label


def readable_size(height: int, width: int) -> str:
    """The size of an image: "160×160", or "160×96 (width×height)" where it is no square."""
    return size_text(height, width, TIMES)


def cost_scale(name: str, largest: float) -> tuple[float, str]:
    """Divisor and unit for costs up to `largest`, such as (1e6, "M").

    Measured costs are shown in their own unit.
    """
    cost = COSTS.get(name.partition("@")[0])
    if cost is not None and cost.of is None:
        return 1.0, cost.unit
    for divisor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if largest >= divisor:
            return divisor, unit
    return 1.0, ""


def readable_cost(name: str, value: float) -> str:
    """A cost with three or four significant digits and its unit: "300.1 M", "1.35 G", "8.20 ms"."""
    divisor, unit = cost_scale(name, value)
    scaled = value / divisor
    digits = 1 if scaled >= 100 else 2
    if not unit and scaled == int(scaled):
        return f"{int(scaled)}"
    return f"{scaled:.{digits}f} {unit}".rstrip()


def readable_score(value: float) -> str:
    """A score with four decimals, with two from 10 (percentages), as a power of ten from 1e7."""
    size = abs(value)
    return f"{value:.4f}" if size < 10 else f"{value:.2f}" if size < 1e7 else f"{value:.4g}"


def signed_score(value: float) -> str:
    """A difference of scores with its sign."""
    sign = "+" if value >= 0 else "\N{MINUS SIGN}"
    return f"{sign}{readable_score(abs(value))}"
