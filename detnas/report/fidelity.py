"""Draws the supernet's scores against those of networks trained on their own."""

from pathlib import Path

import numpy as np

from detnas.fidelity.comparison import ALSO, SUPERNET, TRAINED
from detnas.fidelity.correlation import tau
from detnas.fidelity.table import Table
from detnas.report.marks import add_legend, is_wide, new_figure
from detnas.report.style import LIGHT, WIDE, Size, Theme, cost_scale, save_figure, themed

MARKERS = ("o", "D", "s", "^")


def draw_fidelity(table: Table, path: Path, *, theme: Theme = LIGHT, size: Size = WIDE) -> None:
    """Draw trained against supernet scores at the left, and against MACs at the right.

    A dot is an architecture, at the mean of its trainings; the bar spans the seeds. Groups have
    markers of their own.

    Args:
        table: with columns "supernet" and "trained/...".
        path: a .png or .svg file.
        theme: its colours.
        size: in inches.

    Raises:
        UserError: a column is missing, or the path has another suffix.
    """
    supernet = table.columns(SUPERNET).mean(axis=1)
    trained = table.columns(TRAINED)
    divisor, unit = cost_scale("macs", float(table.costs["macs"].max()))
    kept = np.isfinite(supernet) & np.isfinite(trained).all(axis=1)
    drawn = kept & np.array([group != ALSO for group in table.groups])
    panels = {
        "score on the supernet, search split": supernet,
        f"MACs ({unit})" if unit else "MACs": table.costs["macs"] / divisor,
    }
    with themed(theme):
        wide = is_wide(size)
        figure = new_figure(size if wide else (size[0], 1.7 * size[1]))
        axes = figure.subplots(1, 2, sharey=True) if wide else figure.subplots(2, 1, sharey=True)
        groups = list(dict.fromkeys(table.groups))
        for each, (label, values) in zip(axes, panels.items(), strict=True):
            for number, group in enumerate(groups):
                rows = kept & np.array([name == group for name in table.groups])
                truth = trained[rows]
                mean = truth.mean(axis=1)
                colour = theme.ramp[(2 * number + 1) % len(theme.ramp)]
                spread = [mean - truth.min(axis=1), truth.max(axis=1) - mean]
                each.errorbar(
                    values[rows],
                    mean,
                    yerr=spread,
                    fmt=MARKERS[number % len(MARKERS)],
                    ms=4.5,
                    color=colour,
                    ecolor=theme.line,
                    elinewidth=1.2,
                    label=f"{group} ({int(rows.sum())})" if each is axes[0] else None,
                )
            each.set_xlabel(label)
            each.set_title(
                f"Kendall's tau {tau(values[drawn], trained[drawn].mean(axis=1)):.2f}",
                size=9,
                color=theme.muted,
            )
        seeds = "" if trained.shape[1] == 1 else " (bars: its seeds)"
        axes[0].set_ylabel(f"trained network, test split{seeds}")
        add_legend(figure, theme)
        save_figure(figure, path)
