"""Finalists of a real search: scored again, resumed, grown, and the best one exported."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from detnas.cli import main
from detnas.search.finalists import FINALISTS_FILE, Finalists, read_finalists
from detnas.search.history.reading import SearchHistory
from detnas.stages import finalists as stage

MINIATURE = Path(__file__).parents[2] / "miniature"
DETECTS = ["model.test_cfg.score_thr=0.0"]


def arguments(experiment: Path, folder: Path, *options: str) -> list[str]:
    return [
        *("search", str(MINIATURE / "retinanet/search.py"), "--work-dir", str(folder)),
        *("--resume", "--cfg-options", f"data_root={experiment}/data/detection"),
        f"search.supernet={experiment}/finetune/final.pth",
        *DETECTS,
        *options,
    ]


def finalists(folder: Path) -> Finalists:
    found = read_finalists(folder)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def searched(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search with two finalists, each scored with two calibration seeds."""
    folder = tmp_path_factory.mktemp("searched") / "search"
    two = ["search.finalists=2", "search.finalist_seeds=2"]
    assert main(arguments(experiment, folder, *two)) == 0
    return folder


@pytest.fixture
def copy(searched: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(searched, tmp_path / "search"))


@pytest.fixture
def _no_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("something is evaluated again")

    monkeypatch.setattr(stage, "executor_of", never)


def test_the_best_candidates_are_scored_with_each_seed(searched: Path) -> None:
    found, history = finalists(searched), SearchHistory.read(searched)
    best = [row.choices for row in history.ranked()[:2]]
    assert {each.choices for each in found.finalists} == set(best)
    assert found.seeds == (1, 2)
    assert found.resamples > 100
    assert all(len(each.scores) == 2 for each in found.finalists)
    for number in (1, 2):
        rows = SearchHistory.read(searched / f"finalists/seed_{number}.db").rows
        assert [row.choices for row in rows] == best
        for row in rows:
            (each,) = (each for each in found.finalists if each.choices == row.choices)
            assert row.score == each.scores[number - 1]


def test_the_best_finalist_is_exported(searched: Path, tmp_path: Path) -> None:
    found = finalists(searched)
    stated = json.loads((searched / "best_architecture.json").read_text())
    assert stated["provenance"]["finalists"] is True
    assert stated["score"]["value"] == found.best.mean
    output = tmp_path / "best.json"
    assert main(["export", str(searched), "-o", str(output)]) == 0
    assert json.loads(output.read_text()) == stated
    space = SearchHistory.read(searched).space
    assert stated["choices"] == [space.choices[choice] for choice in found.best.choices]


@pytest.mark.usefixtures("_no_evaluations")
def test_a_finished_scoring_is_not_repeated(
    experiment: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (copy / FINALISTS_FILE).read_text()
    two = ["search.finalists=2", "search.finalist_seeds=2"]
    assert main(arguments(experiment, copy, *two)) == 0
    assert (copy / FINALISTS_FILE).read_text() == before
    printed = capsys.readouterr().out
    assert "finalists: mean and 95% interval of coco/bbox_mAP, from 2 calibration seeds" in printed
    assert "the best" in printed
    one = ["search.finalists=1", "search.finalist_seeds=1"]  # fewer are taken from what there is
    assert main(arguments(experiment, copy, *one)) == 0
    assert len(finalists(copy).finalists) == len(finalists(copy).seeds) == 1
    assert main(arguments(experiment, copy)) == 0  # none: the search's best again
    assert read_finalists(copy) is None
    stated = json.loads((copy / "best_architecture.json").read_text())
    assert "finalists" not in stated["provenance"]


def test_finalists_and_seeds_may_grow_and_an_interrupted_scoring_resumes(
    experiment: Path, searched: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ["search.finalists=4", "search.finalist_seeds=2"]
    evaluate = stage.evaluate_into
    monkeypatch.setattr(stage, "evaluate_into", lambda *a, **k: (evaluate(*a, **k), 1 / 0))
    with pytest.raises(ZeroDivisionError):  # after the first seed
        main(arguments(experiment, copy, *more))
    assert read_finalists(copy) is None
    monkeypatch.setattr(stage, "evaluate_into", evaluate)
    assert main(arguments(experiment, copy, *more)) == 0
    workers = ["search.executor.type=processes", "search.executor.workers=1"]
    more[1] = "search.finalist_seeds=3"
    assert main(arguments(experiment, copy, *more, *workers)) == 0
    found, before = finalists(copy), {f.choices: f for f in finalists(searched).finalists}
    assert (len(found.finalists), found.seeds) == (4, (1, 2, 3))
    for each in found.finalists:
        if each.choices in before:
            assert each.scores[:2] == before[each.choices].scores
    rows = SearchHistory.read(copy / "finalists/seed_1.db").rows
    assert [row.attempts for row in rows] == [1] * 4


def test_a_new_search_does_not_take_another_ones_finalists(
    experiment: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in copy.glob("history*"):
        file.unlink()
    assert main(arguments(experiment, copy)) == 2
    assert "finalists is left from another search: remove it" in capsys.readouterr().err


def test_an_experiment_scores_finalists_that_are_asked_for_later(
    experiment: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(experiment, tmp_path / "copy"))
    command = ["run", str(MINIATURE / "retinanet"), "--work-dir", str(folder), "--quiet"]
    command += ["--stages", "search", "--cfg-options", "search.finalist_seeds=1"]
    assert main([*command, "search.finalists=1"]) == 0
    assert len(finalists(folder / "search").finalists) == 1
    written = (folder / "search" / FINALISTS_FILE).stat().st_mtime_ns
    assert main([*command, "search.finalists=1"]) == 0
    assert (folder / "search" / FINALISTS_FILE).stat().st_mtime_ns == written


def test_other_metrics_have_intervals_of_seeds_alone(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["search", str(MINIATURE / "classification/search.py"), "--work-dir", str(tmp_path)]
    command += ["--cfg-options", f"pretrain_root={experiment}/data/classification"]
    command += [f"search.supernet={experiment}/pretrain/final.pth", "search.finalists=2"]
    assert main([*command, "search.finalist_seeds=2"]) == 0
    found = finalists(tmp_path)
    assert found.resamples == 0
    assert found.best.interval is not None
    assert "accuracy/top1 is not resampled: intervals are of calibration seeds alone" in (
        capsys.readouterr().out
    )
