"""Marks of the curves: dots by generation, the baseline, the best candidate, labels."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import ArrayLike

from detnas.report.style import WIDE, Size, Theme, readable_score
from detnas.search.history.records import Evaluation

DASHED, DOTTED = (0, (4, 3)), (0, (1, 2))
_WIDE_FROM = 6.0  # inches
_LEGEND_COLUMN = 2.3
_ABOVE = 1.015  # position of labels above the axes, in units of their height


def new_figure(size: Size = WIDE) -> Figure:
    """An empty figure with the margins of all curves; the size is in inches."""
    margin = 0.14 if is_wide(size) else 0.04
    return Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=margin, h_pad=0.07))


def is_wide(size: Size) -> bool:
    """Whether a figure is for a laptop, not for a phone."""
    return size[0] >= _WIDE_FROM


def add_legend(figure: Figure, theme: Theme) -> None:
    """Add the legend below the axes, in as many columns as fit."""
    columns = max(1, int(figure.get_figwidth() / _LEGEND_COLUMN))
    figure.legend(loc="outside lower center", ncols=columns, labelcolor=theme.muted)


def finish_figure(
    figure: Figure, axes: Axes, x: float, best: Evaluation, score_name: str, theme: Theme
) -> None:
    """Add a star and the score at the best candidate, the label of the y axis, and the legend."""
    assert best.score is not None
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.03 * (high - low), high + 0.07 * (high - low))
    axes.scatter(
        [x],
        [best.score],
        marker="*",
        s=190,
        lw=1,
        color=theme.accent,
        edgecolor=theme.paper,
        zorder=5,
    )
    axes.annotate(
        readable_score(best.score),
        (x, best.score),
        textcoords="offset points",
        xytext=(0, 9),
        size=10,
        weight="bold",
        color=theme.accent,
        ha="center",
    )
    axes.set_ylabel(score_name)
    add_legend(figure, theme)


def scores_of(rows: Sequence[Evaluation]) -> np.ndarray:
    """The scores of the rows that have one."""
    return np.array([row.score for row in rows if row.score is not None])


def draw_dots(
    axes: Axes, x: Sequence[float], done: Sequence[Evaluation], theme: Theme
) -> PathCollection:
    """Draw the candidates of the search at `x`, coloured by generation."""
    colours = ListedColormap(theme.ramp)
    last = max(row.number for row in done)
    axes.scatter([], [], s=22, color=colours(0.6), lw=0, label="candidate of the search")
    return axes.scatter(
        x,
        scores_of(done),
        c=[row.number for row in done],
        cmap=colours,
        vmin=1 if last > 1 else 0,  # a single generation has the colour in the middle
        vmax=last if last > 1 else 2,
        s=21,
        lw=0,
        alpha=0.9,
        zorder=3,
    )


def draw_front(axes: Axes, x: Sequence[float], front: Sequence[Evaluation], theme: Theme) -> None:
    """Draw a line along the Pareto front, at ascending `x`; nothing for a single candidate."""
    if len(front) > 1:
        scores = scores_of(front)
        axes.step(x, scores, where="post", color=theme.ink, lw=1.1, zorder=2, label="Pareto front")


def draw_failed(axes: Axes, x: Sequence[float], theme: Theme) -> None:
    """Draw crosses at the bottom for the failed candidates at `x`."""
    _draw_at_the_bottom(axes, x, "failed", "x", theme.alarm)


def draw_dropped(axes: Axes, x: Sequence[float], theme: Theme) -> None:
    """Draw ticks at the bottom for the candidates at `x` that racing dropped."""
    _draw_at_the_bottom(axes, x, "dropped", "|", theme.muted)


def _draw_at_the_bottom(
    axes: Axes, x: Sequence[float], what: str, marker: str, colour: str
) -> None:
    """Draw candidates without a score at `x`, if there are any."""
    if x:
        axes.scatter(
            x,
            [0.025] * len(x),
            transform=axes.get_xaxis_transform(),
            marker=marker,
            s=22,
            lw=1.2,
            color=colour,
            zorder=3,
            label=f"{what} ({len(x)})",
        )


def draw_random(axes: Axes, x: ArrayLike, scores: np.ndarray, theme: Theme) -> None:
    """Draw the random architectures as diamonds."""
    axes.scatter(
        x,
        scores,
        marker="D",
        s=20,
        lw=1.0,
        facecolor=theme.paper,
        edgecolor=theme.ink,
        zorder=4,
        label=f"random architecture ({len(scores)})",
    )


def draw_bound(axes: Axes, x: float, label: str, theme: Theme) -> None:
    """Draw a bound of the budget as a vertical line, with a label above the axes."""
    axes.axvline(x, color=theme.alarm, lw=1.2, ls=DASHED, zorder=1)
    label_above(axes, x, label, theme.alarm)


def label_above(axes: Axes, x: float, label: str, colour: str) -> None:
    """Draw a small label above the axes at `x`."""
    where = axes.get_xaxis_transform()
    axes.annotate(label, (x, _ABOVE), xycoords=where, size=8, color=colour, ha="center")
