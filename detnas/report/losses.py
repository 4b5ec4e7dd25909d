"""Loss curves of the trainings of an experiment, from the scalars that mmengine writes."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from detnas.errors import UserError
from detnas.report.marks import add_legend, is_wide, new_figure
from detnas.report.stages import run_folders
from detnas.report.style import LIGHT, WIDE, Size, Theme, save_figure, themed

SCALARS_FILE = "vis_data/scalars.json"
POINTS = 300
"""Of a curve; a longer one is drawn by the means of as many parts."""

_PANEL_HEIGHT = 2.5  # inches
_STEPS = 10**12  # more than any training has
_DIVERGED = 1e30
"""A loss beyond it leaves a gap, as one that is no number does."""


@dataclass(frozen=True)
class LossCurve:
    """The losses of one training.

    Attributes:
        name: of the stage, such as "pretrain" or "compare/random".
        steps: ascending iterations.
        losses: by name, one value per step; the sum is "loss".
        began_again: the first step of each attempt but the first.
    """

    name: str
    steps: tuple[int, ...]
    losses: Mapping[str, tuple[float, ...]]
    began_again: tuple[int, ...]


def trainings(folder: Path) -> list[Path]:
    """The folders of the trainings in an experiment's folder, in the order in which they began."""
    found = {file.parents[2] for file in folder.glob(f"**/{SCALARS_FILE}") if _is_run(file, folder)}
    return sorted(found, key=lambda each: run_folders(each)[0].name)


def read_curve(training: Path, folder: Path) -> LossCurve | None:
    """The loss curve of a training in an experiment's folder; None if it has none yet.

    Lines that are not whole, as of a training that is running, are left out.

    Raises:
        UserError: a log has lines, and none is whole.
    """
    name = str(training.relative_to(folder)) if training != folder else training.name
    return _read_curve(training, name)


def _is_run(file: Path, folder: Path) -> bool:
    depth = len(file.relative_to(folder).parts)
    return depth <= 5 and file.parents[1] in run_folders(file.parents[2])


def _read_curve(training: Path, name: str) -> LossCurve | None:
    rows: dict[int, dict[str, float]] = {}
    starts = []
    for run in run_folders(training):
        steps = [(row.pop("step"), row) for row in _rows(run / SCALARS_FILE)]
        if not steps:
            continue
        first = int(steps[0][0])
        rows = {step: row for step, row in rows.items() if step < first}  # were trained again
        rows |= {int(step): row for step, row in steps}
        starts.append(first)
    if not rows:
        return None
    order = sorted(rows)
    names = dict.fromkeys(key for step in order for key in rows[step])
    losses = {key: tuple(rows[step].get(key, math.nan) for step in order) for key in names}
    return LossCurve(name, tuple(order), losses, tuple(starts[1:]))


def _rows(file: Path) -> list[dict[str, float]]:
    """The losses of each line, with their "step"."""
    if not file.is_file():
        return []
    found = []
    text = file.read_text(encoding="utf-8", errors="replace")
    is_damaged = "\n" in text or not text.startswith("{")  # else its first line is being written
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(row, dict):
            continue
        is_damaged = False
        if isinstance(row.get("step"), int) and "loss" in row:
            losses = {key: value for key, value in row.items() if key.startswith("loss")}
            is_drawn = 0 <= row["step"] < _STEPS
            if is_drawn and all(isinstance(value, int | float) for value in losses.values()):
                found.append({"step": row["step"], **losses})
    if is_damaged and text:
        raise UserError(f"{file}: no line of this log can be read")
    return found


def draw_losses(
    curves: Sequence[LossCurve], path: Path, *, theme: Theme = LIGHT, size: Size = WIDE
) -> None:
    """Draw the curves, each in a panel of its own, with dotted lines where a training resumed.

    Args:
        curves: at least one.
        path: a .png or .svg file.
        theme: its colours.
        size: the width in inches, and the height of two rows of panels.

    Raises:
        UserError: the path has another suffix.
    """
    columns = min(3, len(curves)) if is_wide(size) else 1
    lines = math.ceil(len(curves) / columns)
    names = list(dict.fromkeys(name for curve in curves for name in curve.losses))
    colours = dict(zip(names, (theme.ink, *_component_colours(theme, len(names) - 1)), strict=True))
    with themed(theme):
        figure = new_figure((size[0], _PANEL_HEIGHT * lines + 0.4))
        panels = figure.subplots(lines, columns, squeeze=False).flatten()
        labelled: set[str] = set()
        for axes, curve in zip(panels, curves, strict=False):
            for name, values in curve.losses.items():
                steps, means = _thinned(curve.steps, values)
                label = None if name in labelled else name
                labelled.add(name)
                width = 1.6 if name == "loss" else 1.0
                dot = "o" if len(steps) == 1 else None  # a line of one point is invisible
                axes.plot(
                    steps, means, color=colours[name], lw=width, label=label, marker=dot, ms=4
                )
            for step in curve.began_again:
                axes.axvline(step, color=theme.muted, lw=1.0, ls=(0, (1, 2)))
            axes.set_title(curve.name, size=10, color=theme.ink, loc="left")
            axes.set_ylim(bottom=0.0)
            if len(curve.steps) == 1:
                axes.set_xlim(curve.steps[0] - 1, curve.steps[0] + 1)
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
            axes.set_xlabel("iterations")
        for axes in panels[len(curves) :]:
            axes.set_axis_off()
        add_legend(figure, theme)
        save_figure(figure, path)


def _component_colours(theme: Theme, count: int) -> list[str]:
    usable = (theme.accent, theme.ramp[4], theme.ramp[6], theme.ramp[2])
    return [usable[number % len(usable)] for number in range(count)]


def _thinned(steps: Sequence[int], values: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """At most `POINTS` points of a curve; values that are no numbers or too large leave gaps."""
    x = np.asarray(steps, float)
    y = np.array([value if abs(value) < _DIVERGED else math.nan for value in values], float)
    if len(x) <= POINTS:
        return x, y
    parts = np.array_split(np.arange(len(x)), POINTS)
    return np.array([x[part].mean() for part in parts]), np.array(
        [y[part].mean() for part in parts]
    )
