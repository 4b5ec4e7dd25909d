"""Draws an architecture block by block: stem and stages as panels, blocks coloured by choice.

A skipped block is an empty box with a dashed outline, through which the connecting line passes.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from detnas.report.style import (
    LIGHT,
    TIMES,
    Theme,
    cost_name,
    ink_on,
    readable_cost,
    save_figure,
    themed,
)
from search_space.architecture import Architecture, macs, params
from search_space.choices import CHOICES, Choice
from search_space.cost import DEFAULT_INPUT_SIZE, InputSize
from search_space.spaces import SearchSpace

# The layout is in inches, with y pointing down.
_BOX, _PITCH = 0.58, 0.70
_PADDING, _HEADING = 0.16, 0.54
_MIN_PANEL = 1.26
_BETWEEN_PANELS, _BETWEEN_LINES = 0.30, 0.26
_MARGIN, _TITLE = 0.32, 0.96
_LEGEND_ITEM, _LEGEND_LINE = 1.80, 0.32
_CAPACITIES = (6, 8, 10, 12, 16)
_ASPECT = 2.2  # width to height that suits the column of a page


@dataclass(frozen=True)
class _Panel:
    """The stem (stage -1) or a stage: its position, and its blocks in rows of `columns`."""

    stage: int
    blocks: int
    columns: int
    x: float
    y: float
    width: float
    height: float

    def box(self, position: int) -> tuple[float, float]:
        """Left and top coordinate of the block at `position` in the stage."""
        row, column = divmod(position, self.columns)
        inner = self.columns * _PITCH - (_PITCH - _BOX)
        left = self.x + (self.width - inner) / 2
        return left + column * _PITCH, self.y + _HEADING + row * _PITCH


@dataclass(frozen=True)
class _Layout:
    panels: tuple[_Panel, ...]
    width: float
    height: float
    legend_columns: int
    legend_y: float


def draw_architecture(
    architecture: Architecture,
    path: Path,
    *,
    costs: Mapping[str, float] | None = None,
    input_size: InputSize = DEFAULT_INPUT_SIZE,
    theme: Theme = LIGHT,
) -> None:
    """Draw an architecture, or the network that it is scaled to, to a PNG or SVG file.

    Args:
        costs: the costs in the second line, such as {"macs": ..., "latency_ms": ...}; by default
            MACs at `input_size` and parameters.
        input_size: (channels, height, width) for the MACs.

    Raises:
        UserError: the suffix of the path is neither .png nor .svg.
    """
    architecture = architecture.network
    space = architecture.space
    if costs is None:
        costs = {"macs": macs(architecture, input_size), "params": params(architecture)}
    layout = _best_layout(space)
    with themed(theme):
        figure = Figure(figsize=(layout.width, layout.height))
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_xlim(0, layout.width)
        axes.set_ylim(layout.height, 0)
        axes.set_axis_off()
        heading = f"{space.name} space, {_block_count(architecture)} blocks"
        axes.text(_MARGIN, 0.40, heading, size=14, weight="bold", va="center")
        subtitle = _subtitle(costs, input_size)
        axes.text(_MARGIN, 0.68, subtitle, size=9.5, color=theme.muted, va="center")
        for panel in layout.panels:
            _draw_panel(axes, panel, architecture, theme)
        _draw_arrows(axes, layout.panels, theme)
        _draw_legend(axes, layout, architecture, theme)
        save_figure(figure, path)


def blocks_by_stage(architecture: Architecture) -> list[list[Choice]]:
    """The choices of the blocks of each stage."""
    blocks = (CHOICES[name] for name in architecture.choice_names)
    return [list(islice(blocks, stage.blocks)) for stage in architecture.space.stages]


def _block_count(architecture: Architecture) -> str:
    """The number of blocks, such as "40", or "25 of 40" if some are skipped."""
    present = sum(not CHOICES[name].is_empty for name in architecture.choice_names)
    total = architecture.space.num_blocks
    return f"{total}" if present == total else f"{present} of {total}"


def _subtitle(costs: Mapping[str, float], input_size: InputSize) -> str:
    _, height, width = input_size
    parts = []
    for name, value in costs.items():
        where = f" at {width}{TIMES}{height}" if name == "macs" else ""
        parts.append(f"{readable_cost(name, value)} {cost_name(name)}{where}")
    return "   ·   ".join(parts)


def _best_layout(space: SearchSpace) -> _Layout:
    """The best layout by aspect ratio and even line ends, over several line capacities."""

    def flaws(layout: _Layout) -> float:
        ends = {panel.y: panel.x + panel.width for panel in layout.panels}.values()
        ragged = 1 - sum(ends) / len(ends) / max(ends)
        return abs(math.log(layout.width / layout.height / _ASPECT)) + 2 * ragged

    return min((_layout(space, capacity) for capacity in _CAPACITIES), key=flaws)


def _layout(space: SearchSpace, capacity: int) -> _Layout:
    """Panels from left to right, with a new line before a stage that exceeds `capacity` blocks."""
    x, y, line_height, in_line = _MARGIN, _TITLE, 0.0, 0
    panels: list[_Panel] = []
    for stage, blocks in enumerate((1, *(stage.blocks for stage in space.stages)), start=-1):
        rows = math.ceil(blocks / capacity)
        columns = math.ceil(blocks / rows)
        width = max(columns * _PITCH - (_PITCH - _BOX) + 2 * _PADDING, _MIN_PANEL)
        height = _HEADING + rows * _PITCH - (_PITCH - _BOX) + _PADDING
        if stage >= 0 and in_line + columns > capacity:
            x, y, line_height, in_line = _MARGIN, y + line_height + _BETWEEN_LINES, 0.0, 0
        panels.append(_Panel(stage, blocks, columns, x, y, width, height))
        x, line_height = x + width + _BETWEEN_PANELS, max(line_height, height)
        if stage >= 0:
            in_line += columns
    width = max(panel.x + panel.width for panel in panels) + _MARGIN
    items = space.num_choices + 1
    legend_columns = max(1, min(items, int((width - 2 * _MARGIN) / _LEGEND_ITEM)))
    legend_y = y + line_height + 0.36
    height = legend_y + math.ceil(items / legend_columns) * _LEGEND_LINE
    return _Layout(tuple(panels), width, height, legend_columns, legend_y)


def _draw_panel(axes: Axes, panel: _Panel, architecture: Architecture, theme: Theme) -> None:
    space = architecture.space
    _rounded(axes, panel.x, panel.y, panel.width, panel.height, theme.panel, radius=0.10)
    is_stem = panel.stage < 0
    channels = space.stem if is_stem else space.stages[panel.stage].channels
    name = "Stem" if is_stem else f"Stage {panel.stage + 1}"
    centred = panel.width == _MIN_PANEL
    x = panel.x + (panel.width / 2 if centred else _PADDING)
    align = "center" if centred else "left"
    axes.text(x, panel.y + 0.17, name, size=9.5, weight="bold", ha=align, va="center")
    about = f"{channels} ch · stride {2 ** (panel.stage + 2)}"
    axes.text(x, panel.y + 0.36, about, size=8, color=theme.muted, ha=align, va="center")
    blocks = blocks_by_stage(architecture)
    for position in range(panel.blocks):
        x, y = panel.box(position)
        if (position + 1) % panel.columns and position + 1 < panel.blocks:
            middle = y + _BOX / 2
            axes.plot([x + _BOX, x + _PITCH], [middle, middle], color=theme.muted, lw=1.2)
        if is_stem:
            _rounded(axes, x, y, _BOX, _BOX, theme.paper, edge=theme.muted)
            _label(axes, x, y, f"3{TIMES}3", "conv", theme.ink)
        else:
            _draw_block(axes, x, y, blocks[panel.stage][position], theme)
        if position == 0:
            _stride_badge(axes, x + 0.03, y + 0.03, theme)


def _draw_block(axes: Axes, x: float, y: float, choice: Choice, theme: Theme) -> None:
    if not choice.is_empty:
        _rounded(axes, x, y, _BOX, _BOX, choice.colour)
        _label(axes, x, y, choice.caption, choice.note, ink_on(choice.colour))
        return
    _rounded(axes, x, y, _BOX, _BOX, theme.panel, edge=theme.muted, dashed=True)
    middle = y + _BOX / 2
    axes.plot([x, x + _BOX], [middle, middle], color=theme.muted, lw=1.2, zorder=3)
    place = (x + _BOX / 2, y + _BOX * 0.27)
    axes.text(*place, choice.caption, size=7.5, color=theme.muted, ha="center", va="center")


def _label(axes: Axes, x: float, y: float, caption: str, note: str, ink: str) -> None:
    middle = x + _BOX / 2
    height = y + _BOX * (0.43 if note else 0.51)
    axes.text(
        middle, height, caption, size=10.5, weight="bold", color=ink, ha="center", va="center"
    )
    if note:
        axes.text(middle, y + _BOX * 0.74, note, size=6.5, color=ink, ha="center", va="center")


def _stride_badge(axes: Axes, x: float, y: float, theme: Theme) -> None:
    """Mark a block that halves the resolution, centred at (x, y)."""
    _rounded(axes, x - 0.13, y - 0.09, 0.26, 0.18, theme.ink, radius=0.06, edge=theme.panel)
    axes.text(x, y, "↓2", size=6.5, weight="bold", color=theme.paper, ha="center", va="center")


def _draw_arrows(axes: Axes, panels: tuple[_Panel, ...], theme: Theme) -> None:
    """Draw an arrow from each panel to the next, or two stubs across lines."""
    arrow = {"arrowstyle": "-|>", "color": theme.muted, "lw": 1.2, "shrinkA": 0, "shrinkB": 0}
    for before, after in pairwise(panels):
        right = before.x + before.width
        leave, enter = (panel.y + _HEADING + _BOX / 2 for panel in (before, after))
        ends = [((right + 0.04, leave), (after.x - 0.04, enter))]
        if after.y > before.y:
            ends = [
                ((right + 0.04, leave), (right + 0.25, leave)),
                ((after.x - 0.25, enter), (after.x - 0.04, enter)),
            ]
        for start, end in ends:
            axes.annotate("", end, start, arrowprops=arrow)


def _draw_legend(axes: Axes, layout: _Layout, architecture: Architecture, theme: Theme) -> None:
    counts = Counter(architecture.choice_names)
    names = architecture.space.choices
    step = (layout.width - 2 * _MARGIN) / layout.legend_columns
    for item in range(len(names) + 1):
        row, column = divmod(item, layout.legend_columns)
        x, y = _MARGIN + column * step, layout.legend_y + row * _LEGEND_LINE
        if item == len(names):
            _stride_badge(axes, x + 0.13, y, theme)
            axes.text(x + 0.34, y, "halves the resolution", size=8.5, va="center")
            continue
        choice = CHOICES[names[item]]
        if choice.is_empty:
            _rounded(
                axes, x, y - 0.09, 0.18, 0.18, theme.paper, 0.04, edge=theme.muted, dashed=True
            )
        else:
            _rounded(axes, x, y - 0.09, 0.18, 0.18, choice.colour, radius=0.04)
        text = axes.text(x + 0.27, y, choice.label, size=8.5, va="center")
        count = f"  {TIMES} {counts[names[item]]}"
        axes.annotate(count, (1, 0.5), xycoords=text, size=8.5, color=theme.muted, va="center")


def _rounded(
    axes: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    fill: str,
    radius: float = 0.08,
    edge: str = "none",
    dashed: bool = False,
) -> None:
    style = f"round,pad=0,rounding_size={radius}"
    box = FancyBboxPatch((x, y), width, height, style, facecolor=fill, edgecolor=edge, zorder=2)
    if dashed:
        box.set_linestyle((0, (3, 2)))
    axes.add_patch(box)
