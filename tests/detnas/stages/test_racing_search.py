"""A real search that races: killed and resumed, in worker processes, shown, and refused."""

import csv
import io
import json
from pathlib import Path

import pytest

from detnas.cli import main
from detnas.search.history.listing import history_csv
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import Evaluation
from detnas.search.history.writer import History
from detnas.search.racing import DROPPED_AT, share_metric

MINIATURE = Path(__file__).parents[2] / "miniature"
SCORE = "coco/bbox_mAP_50"
SHARE = share_metric(SCORE, 0.5)


def arguments(experiment: Path, folder: Path, *options: str) -> list[str]:
    return [
        *("search", str(MINIATURE / "retinanet/search.py"), "--work-dir", str(folder)),
        *("--resume", "--cfg-options", f"data_root={experiment}/data/detection"),
        f"search.supernet={experiment}/finetune/final.pth",
        *("model.test_cfg.score_thr=0.0", "model.test_cfg.nms_pre=40"),  # nothing is learnt yet
        *(f"search.score={SCORE}", "search.random_baseline=1"),
        *("search.strategy.generations=3", "search.strategy.population=10"),
        *("search.strategy.parents=2", "search.strategy.mutations=7"),
        "search.racing={'shares':[0.5],'confidence':0.5}",
        *options,
    ]


def results(folder: Path) -> list[tuple[object, ...]]:
    """What must not depend on interruptions or on workers."""
    return [
        (row.role, row.generation, row.choices, row.status, row.score, row.metrics)
        for row in SearchHistory.read(folder).rows
    ]


@pytest.fixture(scope="module")
def raced(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished search."""
    folder = tmp_path_factory.mktemp("raced") / "search"
    assert main(arguments(experiment, folder)) == 0
    return folder


def dropped(folder: Path) -> tuple[Evaluation, ...]:
    return SearchHistory.read(folder).dropped


def test_some_are_dropped_at_a_share_and_recorded_so(raced: Path) -> None:
    lost = dropped(raced)
    assert lost
    for row in lost:
        assert row.generation > 0
        assert (row.role, row.score, row.error) == ("search", None, None)
        assert row.metrics.keys() == {SHARE, DROPPED_AT}
        assert row.metrics[DROPPED_AT] == 0.5
    history = SearchHistory.read(raced)
    assert history.fingerprint["racing"] == {"shares": [0.5], "confidence": 0.5}
    assert all(SHARE in row.metrics for row in history.candidates)
    assert all(row.score is not None for row in history.baseline)
    assert not history.failed


def test_one_that_is_killed_resumes_to_the_same_trajectory(
    experiment: Path, raced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "search"
    count = 0
    record = History.mark_running

    def stopping(history: History, key: int, worker: str) -> None:
        nonlocal count
        count += 1
        if count == 17:  # within the second generation
            raise SystemExit(9)
        record(history, key, worker)

    monkeypatch.setattr(History, "mark_running", stopping)
    with pytest.raises(SystemExit):
        main(arguments(experiment, folder))
    monkeypatch.undo()
    assert any(row.status == "proposed" for row in SearchHistory.read(folder).candidates)
    assert main(arguments(experiment, folder)) == 0
    assert results(folder) == results(raced)


def test_worker_processes_give_the_same_search(
    experiment: Path, raced: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "search"
    workers = ("search.executor.type=processes", "search.executor.workers=2")
    assert main(arguments(experiment, folder, *workers)) == 0
    assert results(folder) == results(raced)


def test_nothing_shows_a_dropped_candidate_as_failed_or_scored(
    raced: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = SearchHistory.read(raced)
    count = len(history.dropped)
    assert main(["history", str(raced)]) == 0
    assert f"{31 - count} done, {count} dropped" in capsys.readouterr().out
    lines = list(csv.DictReader(io.StringIO(history_csv(history.rows))))
    lost = [line for line in lines if line["status"] == "dropped"]
    assert len(lost) == count
    assert all(line["score"] == "" and line[SHARE] and line[DROPPED_AT] == "0.5" for line in lost)
    assert main(["report", str(raced)]) == 0
    page = (raced / "report.html").read_text()
    assert f"{count} dropped by racing" in page
    assert "failed</li>" not in page
    chosen = json.loads((raced / "best_architecture.json").read_text())
    assert chosen["score"]["value"] == history.require_best().score


def test_racing_cannot_be_added_to_a_search_that_has_begun_without(
    experiment: Path, raced: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "search.racing={'shares':[0.5],'confidence':0.9}"
    assert main(arguments(experiment, raced, other)) == 2
    assert "racing.confidence = 0.5, but now it is 0.9" in capsys.readouterr().err
    assert main(arguments(experiment, raced, "search.racing=None")) == 2
    assert "racing.shares" in capsys.readouterr().err


@pytest.mark.parametrize("strategy", ["pareto", "random"])
def test_strategies_without_parents_by_score_are_refused(
    experiment: Path, tmp_path: Path, strategy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = f"search.strategy={{'type':'{strategy}','_delete_':True}}"
    options = [o for o in arguments(experiment, tmp_path / "s") if "search.strategy." not in o]
    assert main([*options, given]) == 2
    assert f"search.strategy.type is '{strategy}'" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()
