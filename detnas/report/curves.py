"""Draws the progress of a search: score against evaluations, and score against a cost.

Rows without a result are left out, so a search may still be running.
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from detnas.errors import UserError
from detnas.report.marks import (
    DASHED,
    DOTTED,
    draw_bound,
    draw_dots,
    draw_dropped,
    draw_failed,
    draw_front,
    draw_random,
    finish_figure,
    is_wide,
    label_above,
    new_figure,
    scores_of,
)
from detnas.report.style import (
    LIGHT,
    WIDE,
    Size,
    Theme,
    cost_name,
    cost_scale,
    readable_cost,
    readable_score,
    save_figure,
    themed,
)
from detnas.search.against_random import are_comparable, uniform_draws
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import DONE, DROPPED, FAILED, Evaluation
from search_space.budget import Budget

_GENERATION_LABELS = 1.25  # an inch


def are_drawable(search: SearchHistory) -> bool:
    """Whether axes can span the scores of a search; `against_random.LARGEST` is the bound."""
    return are_comparable(search.all_scores)


def draw_search(
    search: SearchHistory, path: Path, *, theme: Theme = LIGHT, size: Size = WIDE
) -> None:
    """Draw every candidate's score in the order evaluated, the running best, and random ones.

    Candidates are dots coloured by generation. At the bottom are crosses for failed ones, and ticks
    for those that racing dropped. At the right are all uniform draws, the first generation and the
    random baseline, with lines at their mean and best score.

    Args:
        search: finished or still running.
        path: a .png or .svg file.
        theme: its colours.
        size: in inches.

    Raises:
        UserError: no candidate of the search has a score, or the path has another suffix.
    """
    settled = [row for row in search.candidates if row.settled]
    best, greater_is_better = search.require_best(), search.greater_is_better
    random = scores_of(uniform_draws(search))
    with themed(theme):
        figure = new_figure(size)
        axes, side = _axes_and_side(figure, bool(random.size), size)
        _draw_generations(axes, settled, theme, size)
        places = {row.id: place for place, row in enumerate(settled, start=1)}
        done = [row for row in settled if row.status == DONE]
        draw_dots(axes, [places[row.id] for row in done], done, theme)
        draw_failed(axes, [places[row.id] for row in settled if row.status == FAILED], theme)
        draw_dropped(axes, [places[row.id] for row in settled if row.status == DROPPED], theme)
        _draw_running_best(axes, settled, greater_is_better, theme)
        if side is not None:
            _draw_baseline(axes, side, random, greater_is_better, theme)
        axes.set_xlim(0.0, len(settled) + 1.0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.set_xlabel("evaluations")
        finish_figure(figure, axes, places[best.id], best, search.score_name, theme)
        save_figure(figure, path)


def draw_cost_scatter(
    search: SearchHistory,
    path: Path,
    *,
    cost: str = "macs",
    theme: Theme = LIGHT,
    size: Size = WIDE,
) -> None:
    """Draw score against a cost: candidates coloured by generation, the baseline, the budget.

    A line follows the Pareto front, the best score of the search at each cost or less.

    Args:
        search: finished or still running.
        path: a .png or .svg file.
        cost: one of the names in the rows' costs.
        theme: its colours.
        size: in inches.

    Raises:
        UserError: no candidate of the search has a score, a row lacks the cost, or the path has
            another suffix.
    """
    done = [row for row in search.candidates if row.status == DONE]
    random = [row for row in search.baseline if row.status == DONE]
    best = search.require_best()
    budget = next((b for b in search.budgets if b.cost == cost), Budget(cost))
    for row in (*done, *random):
        if cost not in row.costs:
            raise UserError(f"the history has no cost {cost!r}; it has {', '.join(row.costs)}")
    divisor, unit = cost_scale(cost, max(row.costs[cost] for row in (*done, *random)))

    def scaled(rows: Sequence[Evaluation]) -> list[float]:
        return [row.costs[cost] / divisor for row in rows]

    with themed(theme):
        figure = new_figure(size)
        axes = figure.add_subplot()
        for sign, bound in (("≥", budget.lower), ("≤", budget.upper)):
            if bound is not None:
                label = f"budget {sign} {readable_cost(cost, bound)}"
                draw_bound(axes, bound / divisor, label, theme)
        dots = draw_dots(axes, scaled(done), done, theme)
        front = search.front([cost])
        draw_front(axes, scaled(front), front, theme)
        if random:
            draw_random(axes, scaled(random), scores_of(random), theme)
        axes.set_xlabel(f"{cost_name(cost)} ({unit})" if unit else cost_name(cost))
        if done[0].generation != done[-1].generation:
            bar = figure.colorbar(dots, ax=axes, label="generation", pad=0.01, aspect=32)
            bar.ax.yaxis.set_major_locator(MaxNLocator(integer=True))
            bar.solids.set_alpha(1.0)  # type: ignore[union-attr]
            bar.outline.set_visible(False)  # type: ignore[operator]
        finish_figure(figure, axes, best.costs[cost] / divisor, best, search.score_name, theme)
        save_figure(figure, path)


def _axes_and_side(figure: Figure, with_side: bool, size: Size) -> tuple[Axes, Axes | None]:
    """The main axes, and narrow ones at the right with the same y axis."""
    if not with_side:
        return figure.add_subplot(), None
    share = 0.13 if is_wide(size) else 0.3
    grid = figure.add_gridspec(1, 2, width_ratios=(1, share))
    axes = figure.add_subplot(grid[0])
    side = figure.add_subplot(grid[1], sharey=axes)
    side.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
    side.spines[["left", "bottom"]].set_visible(False)
    return axes, side


def _draw_generations(axes: Axes, settled: Sequence[Evaluation], theme: Theme, size: Size) -> None:
    """Shade every second generation, and number them along the top."""
    numbers = [row.number for row in settled]
    every = int(len(set(numbers)) / (_GENERATION_LABELS * size[0])) + 1
    start = 0.5
    for number, group in groupby(numbers):
        end = start + len(list(group))
        if number % 2 == 0:
            axes.axvspan(start, end, color=theme.panel, lw=0, zorder=0)
        if number % every == 1 % every:
            is_named = number == 1 and is_wide(size)
            label = f"generation {number}" if is_named else f"{number}"
            label_above(axes, (start + end) / 2, label, theme.muted)
        start = end


def _draw_running_best(
    axes: Axes, settled: Sequence[Evaluation], greater_is_better: bool, theme: Theme
) -> None:
    better, worst = (np.maximum, -np.inf) if greater_is_better else (np.minimum, np.inf)
    running = better.accumulate([worst if row.score is None else row.score for row in settled])
    known = np.isfinite(running)
    at = np.arange(1, len(settled) + 1)[known]
    label = "best so far"
    axes.step(at, running[known], where="post", color=theme.ink, lw=1.8, zorder=4, label=label)


def _draw_baseline(
    axes: Axes, side: Axes, scores: np.ndarray, greater_is_better: bool, theme: Theme
) -> None:
    # Multiples of the golden ratio spread any number of dots evenly and reproducibly.
    draw_random(side, np.arange(len(scores)) * 0.618 % 1.0, scores, theme)
    side.set_xlim(-0.15, 1.15)
    best = scores.max() if greater_is_better else scores.min()
    for name, value, style in (("best", best, DASHED), ("mean", scores.mean(), DOTTED)):
        for each in (axes, side):
            each.axhline(value, color=theme.muted, lw=1.1, ls=style, zorder=2)
        side.annotate(
            f"{name} {readable_score(value)}",
            (1.06, value),
            xycoords=side.get_yaxis_transform(),
            size=8,
            color=theme.muted,
            va="bottom" if (name == "best") == greater_is_better else "top",
        )
    label_above(side, 0.5, "random", theme.muted)
