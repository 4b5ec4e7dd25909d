"""The front of a history: against the definition, whichever way scores go, and as a file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_search import TINY, TOY_STRATEGIES, rows_of, toy_search

from detnas.search.front import pareto_front
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import RANDOM, Evaluation
from detnas.search.history.writer import History
from detnas.search.results import write_front
from search_space.architecture import Architecture

SETTINGS: dict[str, Any] = {
    "space": TINY.to_dict(),
    "channel_shuffle": "interleave",
    "score": "coco/bbox_mAP",
    "greater_is_better": True,
    "seed": 3,
    "supernet_sha256": "abc",
}


def row(
    position: int, score: float | None, macs: float, params: float = 1.0, role: str = "search"
) -> Evaluation:
    return Evaluation(
        id=position,
        role=role,
        generation=position // 5,
        position=position % 5,
        choices=(position,),
        status="failed" if score is None else "done",
        score=score,
        metrics={},
        costs={"macs": macs, "params": params},
        error=None if score is not None else "RuntimeError: unlucky",
        attempts=1,
        worker=None,
        proposed=None,
        started=None,
        finished=None,
    )


ROWS = [
    row(0, 0.5, 5),
    row(1, 0.7, 7),
    row(2, 0.7, 8),  # dominated: as good for more
    row(3, None, 1),
    row(4, 0.2, 2),
    row(5, 0.5, 5),  # equal to the first
    row(6, 0.4, 5),  # dominated: worse for the same
    row(7, 0.9, 9, role="random"),
]


def history_of(rows: list[Evaluation], greater_is_better: bool = True) -> SearchHistory:
    settings = {**SETTINGS, "greater_is_better": greater_is_better}
    return SearchHistory(Path("history.db"), tuple(rows), settings)


def ids(front: list[Evaluation]) -> list[int]:
    return [evaluation.id for evaluation in front]


def test_front_by_cost() -> None:
    assert ids(history_of(ROWS).front(["macs"])) == [4, 0, 1]
    assert ids(history_of(ROWS[::-1]).front(["macs"])) == [4, 0, 1]
    assert ids(history_of(ROWS, greater_is_better=False).front(["macs"])) == [4]
    assert ids(history_of(ROWS).front(["macs"], RANDOM)) == [7]
    assert history_of(ROWS[3:4]).front(["macs"]) == []


def test_a_second_cost_may_add_a_candidate_to_the_front() -> None:
    rows = [row(0, 0.5, 5, 9), row(1, 0.4, 5, 3), row(2, 0.3, 6, 4)]
    assert ids(pareto_front(rows, ["macs"])) == [0]
    assert ids(pareto_front(rows, ["macs", "params"])) == [0, 1]
    assert ids(pareto_front(rows, ["params", "macs"])) == [1, 0]


@pytest.mark.parametrize("greater_is_better", [True, False])
def test_front_matches_the_definition(greater_is_better: bool) -> None:
    rng = np.random.default_rng(0)
    sign = -1 if greater_is_better else 1
    for _ in range(30):
        values = rng.integers(0, 6, (25, 3)).astype(float)
        rows = [row(i, *each) for i, each in enumerate(values)]
        points = [(sign * score, macs, params) for score, macs, params in values]
        expected = [
            i
            for i, p in enumerate(points)
            if p not in points[:i]
            and not any(q != p and all(map(float.__le__, q, p)) for q in points)
        ]
        front = pareto_front(rows, ["macs", "params"], greater_is_better)
        assert sorted(ids(front)) == expected
        assert ids(front) == sorted(expected, key=lambda i: (values[i][1], i))


@pytest.mark.parametrize("settings", TOY_STRATEGIES, ids=lambda s: s.type)
def test_any_search_has_a_front(settings: Any, tmp_path: Path) -> None:
    result = toy_search(tmp_path / "h.db", settings, baseline=4)
    front = history_of(rows_of(tmp_path / "h.db")).front(["macs"])
    assert result.score == front[-1].score
    scores = [evaluation.score for evaluation in front]
    assert scores == sorted(set(scores))


def test_wrong_objectives_are_refused() -> None:
    with pytest.raises(ValueError, match="no cost 'latency_ms', only macs, params"):
        pareto_front(ROWS, ["macs", "latency_ms"])
    with pytest.raises(ValueError, match="at least one cost"):
        history_of(ROWS).front([])


@pytest.fixture
def history(tmp_path: Path) -> Path:
    candidates = [((0,) * 10, 5.5), ((1,) * 10, 7.0), ((2,) * 10, 8.0), ((3,) * 10, 9.0)]
    path = tmp_path / "history.db"
    with History.create(path, SETTINGS) as file:
        file.record_generation(0, [(c, {"macs@320x320": macs}) for c, macs in candidates])
        for evaluation, score in zip(file.rows(), (0.1, 0.3, 0.2), strict=False):
            file.record_done(evaluation.id, score, {})
    return path


def test_front_is_written_as_architectures(history: Path, tmp_path: Path) -> None:
    write_front(SearchHistory.read(history), tmp_path / "front.json", ["macs@320x320"])
    document = json.loads((tmp_path / "front.json").read_text(encoding="utf-8"))
    assert {**document, "architectures": [], "values": []} == {
        "format": "detnas-front",
        "version": 1,
        "metric": "coco/bbox_mAP",
        "objectives": ["macs@320x320"],
        "values": [],
        "architectures": [],
    }
    assert document["values"] == [
        {"score": 0.1, "macs@320x320": 5.5},
        {"score": 0.3, "macs@320x320": 7.0},
    ]
    expected = [Architecture(TINY, (i,) * 10, "interleave") for i in range(2)]
    assert [Architecture.from_dict(each) for each in document["architectures"]] == expected
    best = document["architectures"][1]
    assert best["score"] == {"metric": "coco/bbox_mAP", "value": 0.3, "split": "search"}
    assert best["provenance"]["supernet_sha256"] == "abc"


def test_front_without_scores_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    History.create(path, SETTINGS).close()
    with pytest.raises(ValueError, match="no candidate has a score yet"):
        write_front(SearchHistory.read(path), tmp_path / "front.json", ["macs"])
    assert not (tmp_path / "front.json").exists()
