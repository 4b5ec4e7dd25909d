"""The pictures of a finished search."""

from pathlib import Path

from detnas.report.architecture import draw_architecture
from detnas.report.curves import draw_cost_scatter, draw_search
from detnas.search.history.reading import SearchHistory


def draw_search_pictures(search: SearchHistory, folder: Path) -> None:
    """The best architecture, score against evaluations, score against MACs, into `folder`."""
    best = search.architecture(search.require_best())
    draw_architecture(best, folder / "architecture.png")
    draw_search(search, folder / "search.png")
    draw_cost_scatter(search, folder / "costs.png")
