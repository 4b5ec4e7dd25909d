"""The curves of a search: drawn from any history with a score, refused without one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detnas.report.curves import draw_cost_scatter, draw_search
from detnas.report.style import DARK, LIGHT, Theme
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import Evaluation


def row(
    place: int, score: float | None, generation: int = 0, role: str = "search", status: str = ""
) -> Evaluation:
    status = status or ("failed" if score is None else "done")
    return Evaluation(
        id=place + (1000 if role == "random" else 0),
        role=role,
        generation=generation,
        position=place,
        choices=(place % 4,) * 10,
        status=status,
        score=score,
        metrics={},
        costs={"macs": 3e6 + 1000 * place, "params": 1e5},
        error="RuntimeError: unlucky" if status == "failed" else None,
        attempts=1,
        worker=None,
        proposed=None,
        started=None,
        finished=None,
    )


def search_of(
    rows: Sequence[Evaluation], greater_is_better: bool = True, **budget: float
) -> SearchHistory:
    settings = {"score": "s", "greater_is_better": greater_is_better, "budgets": [budget]}
    return SearchHistory(Path("history.db"), tuple(rows), settings)


SEARCH = [row(i, 0.3 + 0.001 * i if i % 7 else None, i // 20) for i in range(100)]
RANDOM = [row(i, 0.31 + 0.001 * i, role="random") for i in range(8)]


def pixels_of(path: Path, colour: str) -> int:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((pixels == wanted).all(axis=2).sum())


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_search_is_drawn(theme: Theme, tmp_path: Path) -> None:
    path = tmp_path / "search.png"
    draw_search(search_of([*SEARCH, *RANDOM]), path, theme=theme)
    with Image.open(path) as image:
        assert image.width > 1400
        assert np.asarray(image.convert("L")).std() > 10
    assert pixels_of(path, theme.accent) > 50  # the best
    assert pixels_of(path, theme.alarm) > 50  # the failed


def test_no_failure_draws_no_cross(tmp_path: Path) -> None:
    path = tmp_path / "search.png"
    draw_search(search_of([r for r in SEARCH if r.score is not None]), path)
    assert pixels_of(path, LIGHT.alarm) == 0


def test_best_is_marked_where_lower_scores_are_better(tmp_path: Path) -> None:
    def star_row(path: Path) -> float:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        wanted = [int(LIGHT.accent[i : i + 2], 16) for i in (1, 3, 5)]
        return float(np.nonzero((pixels == wanted).all(axis=2))[0].mean()) / len(pixels)

    rows = [row(i, score) for i, score in enumerate((0.5, 0.2, 0.9))]
    high, low = tmp_path / "high.png", tmp_path / "low.png"
    draw_search(search_of(rows), high)
    draw_search(search_of(rows, greater_is_better=False), low)
    assert star_row(high) < 0.3 < 0.6 < star_row(low)


@pytest.mark.parametrize(
    "rows",
    [
        SEARCH[1:2],
        [row(0, None), row(1, 0.2)],
        [row(0, 0.2), row(1, None, status="running"), row(2, None, status="proposed")],
        [row(0, 0.0), row(1, 0.0), *RANDOM[:1]],
    ],
    ids=["one", "first failed", "still running", "all the same"],
)
def test_small_histories_are_drawn(rows: Sequence[Evaluation], tmp_path: Path) -> None:
    draw_search(search_of(rows), tmp_path / "search.svg")
    draw_cost_scatter(search_of(rows), tmp_path / "cost.svg")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("rows", [[], [row(0, None)], RANDOM], ids=["empty", "failed", "random"])
def test_histories_without_a_score_are_refused(rows: Sequence[Evaluation], tmp_path: Path) -> None:
    for draw in (draw_search, draw_cost_scatter):
        with pytest.raises(ValueError, match="no candidate has a score"):
            draw(search_of(rows), tmp_path / "curve.png")
    assert not list(tmp_path.iterdir())


def test_budget_is_a_line_in_the_scatter(tmp_path: Path) -> None:
    without, bounded = tmp_path / "without.png", tmp_path / "bounded.png"
    draw_cost_scatter(search_of([*SEARCH, *RANDOM]), without)
    both = search_of([*SEARCH, *RANDOM], lower=2.9e6, upper=3.2e6)
    draw_cost_scatter(both, bounded)
    assert pixels_of(without, LIGHT.alarm) == 0
    assert pixels_of(bounded, LIGHT.alarm) > 200


def test_front_is_a_line_in_the_scatter(tmp_path: Path) -> None:
    def has_line(rows: Sequence[Evaluation], greater_is_better: bool = True) -> bool:
        path = tmp_path / "cost.svg"
        draw_cost_scatter(search_of(rows, greater_is_better), path)
        return "Pareto front" in path.read_text(encoding="utf-8")

    rising = [row(i, 0.1 * i) for i in range(1, 5)]
    assert has_line(rising)
    # If lower scores are better, the cheapest is also the best: one candidate, no line.
    assert not has_line(rising, greater_is_better=False)
    assert not has_line([rising[0], *RANDOM])


def test_unknown_cost_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no cost 'latency_ms'; it has macs, params"):
        draw_cost_scatter(search_of(SEARCH), tmp_path / "cost.png", cost="latency_ms")
