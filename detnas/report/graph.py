"""Draws cross-scale graphs of feature pyramids: levels as rows, nodes from left to right."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch

from detnas.report.style import LIGHT, Theme, ink_on, save_figure, themed
from search_space.feature_graphs import FeatureGraph

FINEST = 3
"""Of detectors' pyramids: level 0 is called P3, at stride 8."""

_RADIUS = 0.2
_BEND = -0.35
Point = tuple[float, float]


def draw_graphs(graphs: Mapping[str, FeatureGraph], path: Path, theme: Theme = LIGHT) -> None:
    """Draw graphs side by side, each under its title, as PNG or SVG by the suffix of the path.

    Inputs are on the left and outputs on the right; arrows that lead to a finer level, to a coarser
    one, and along a level have different colours.
    """
    widths = [max(x for x, _ in positions(graph).values()) + 1.4 for graph in graphs.values()]
    highest = max(graph.levels for graph in graphs.values())
    with themed(theme):
        figure = Figure(figsize=(1.05 * sum(widths), 0.85 * highest + 0.6), layout="constrained")
        panels = figure.subplots(1, len(graphs), width_ratios=widths, squeeze=False)[0]
        for axes, (title, graph) in zip(panels, graphs.items(), strict=True):
            _draw(axes, graph, theme)
            axes.set_title(title, color=theme.ink)
        save_figure(figure, path)


def positions(graph: FeatureGraph) -> dict[int, Point]:
    """Column and level of every map; outputs share the last column."""
    columns: dict[int, float] = {}
    counts = [0] * graph.levels
    for number in range(graph.levels + len(graph.nodes)):
        level = graph.level_of(number)
        columns[number] = counts[level]
        counts[level] += 1
    last = max(columns.values())
    columns |= dict.fromkeys(graph.outputs, last)
    return {number: (column, graph.level_of(number)) for number, column in columns.items()}


def _draw(axes: Axes, graph: FeatureGraph, theme: Theme) -> None:
    at = positions(graph)
    for number, node in enumerate(graph.nodes, graph.levels):
        for source in node.inputs:
            _draw_edge(axes, at[source], at[number], at, theme)
    for number, point in at.items():
        is_input = number < graph.levels
        fill = theme.panel if is_input else theme.ramp[-1]
        axes.add_patch(Circle(point, _RADIUS, facecolor=fill, edgecolor=theme.muted, zorder=3))
        label = f"P{graph.level_of(number) + FINEST}" if is_input else str(number)
        ink = theme.ink if is_input else ink_on(fill)
        axes.text(*point, label, ha="center", va="center", color=ink, fontsize=7, zorder=4)
    axes.set_xlim(-0.5, max(x for x, _ in at.values()) + 0.5)
    axes.set_ylim(-0.5, graph.levels - 0.5)
    axes.set_aspect("equal")
    axes.axis("off")


def _draw_edge(axes: Axes, start: Point, end: Point, at: Mapping[int, Point], theme: Theme) -> None:
    passes = start[1] == end[1] and any(
        level == end[1] and start[0] < column < end[0] for column, level in at.values()
    )
    colour = theme.muted
    if start[1] != end[1]:
        colour = theme.ramp[4] if start[1] > end[1] else theme.accent
    arrow = FancyArrowPatch(
        start,
        end,
        arrowstyle="-|>",
        mutation_scale=9,
        connectionstyle=f"arc3,rad={_BEND if passes else 0.0}",
        shrinkA=11,
        shrinkB=11,
        color=colour,
        linewidth=1.1,
    )
    axes.add_patch(arrow)
