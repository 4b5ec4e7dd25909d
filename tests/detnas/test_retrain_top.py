"""`detnas run --retrain-top`: trains candidates without the search split, which chooses."""

import json
import shutil
from pathlib import Path

import pytest

from detnas.cli import main
from detnas.report.page import write_report
from detnas.search.history.reading import SearchHistory
from detnas.search.trained import read_trained
from search_space.architecture import Architecture

MINIATURE = Path(__file__).parents[1] / "miniature" / "retinanet"


def run(folder: Path, *arguments: str) -> int:
    command = ["run", str(MINIATURE), "--work-dir", str(folder), "--quiet"]
    return main([*command, *arguments])


@pytest.fixture
def searched(experiment: Path, tmp_path: Path) -> Path:
    """A copy of the finished experiment, of which retraining and test are still to do."""
    folder = tmp_path / "experiment"
    left_out = shutil.ignore_patterns("retrain", "test")
    shutil.copytree(experiment, folder, ignore=left_out)
    return folder


def test_the_search_split_chooses(
    searched: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ranked = [row.choices for row in SearchHistory.read(searched / "search").ranked()]
    trained_on: list[str] = []

    def score(config: object, weights: Path, *_: object) -> dict[str, float]:
        # Networks of three iterations detect nothing, so the scores are made up here.
        trained_on.append(config.train_dataloader.dataset.ann_file)  # type: ignore[attr-defined]
        assert "search" in config.test_dataloader.dataset.ann_file  # type: ignore[attr-defined]
        return {"coco/bbox_mAP": 0.1 * len(trained_on)}

    monkeypatch.setattr("detnas.stages.standalone.score_checkpoint", score)
    assert run(searched, "--retrain-top", "2", "--stages", "search") == 0
    assert "on the search split, of 2 networks trained without it: tiny:" in capsys.readouterr().err
    assert all(name.endswith("instances_train.json") for name in trained_on)
    best = json.loads((searched / "search" / "best_architecture.json").read_text())
    assert best["score"]["value"] == pytest.approx(0.2)
    assert best["score"]["split"] == "search"
    assert best["provenance"]["retrained"] == 2
    second = SearchHistory.read(searched / "search").ranked()[1]
    names = SearchHistory.read(searched / "search").architecture(second).choice_names
    assert tuple(best["choices"]) == names
    assert ranked[1] == second.choices

    again = (searched / "search" / "best_architecture.json").read_bytes()
    assert run(searched, "--retrain-top", "2", "--stages", "search") == 0
    assert len(trained_on) == 2  # nothing is trained twice
    assert (searched / "search" / "best_architecture.json").read_bytes() == again

    # The choice stands: for a search that goes on without news, an export, and the report.
    command = ["search", str(MINIATURE / "search.py"), "--work-dir", str(searched / "search")]
    assert main([*command, "--resume"]) == 0
    assert "trained score" in capsys.readouterr().out
    assert main(["export", str(searched), "-o", str(searched / "exported.json")]) == 0
    for file in (searched / "search" / "best_architecture.json", searched / "exported.json"):
        stated = json.loads(file.read_text())
        assert (stated["choices"], stated["score"]) == (best["choices"], best["score"])
        assert stated["provenance"]["retrained"] == 2
    page = write_report(searched / "search").read_text(encoding="utf-8")
    assert "Trained candidates" in page
    assert Architecture.load(searched / "exported.json").key in page
    assert "holds another architecture" not in page

    # A search that has grown since has other best candidates.
    assert main([*command, "--resume", "--cfg-options", "search.strategy.generations=4"]) == 0
    assert read_trained(SearchHistory.read(searched)) is None
    assert not (searched / "search" / "trained.json").exists()
    best = json.loads((searched / "search" / "best_architecture.json").read_text())
    assert "retrained" not in best["provenance"]


def test_a_finished_experiment_is_refused_before_any_training(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(experiment, tmp_path / "finished"))
    before = (folder / "search" / "best_architecture.json").read_bytes()
    for options in ((), ("--check",)):
        assert run(folder, "--retrain-top", "2", *options) == 2
        assert f"move {folder}/retrain and {folder}/test away" in capsys.readouterr().err
    assert (folder / "search" / "best_architecture.json").read_bytes() == before
    assert not (folder / "retrain_top").exists()
    assert run(folder) == 0


def test_leftover_networks_do_not_enter_the_scores_of_another_recipe(
    searched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leftover = searched / "retrain_top" / "networks" / "0-0"
    leftover.mkdir(parents=True)
    assert run(searched, "--retrain-top", "2", "--stages", "search") == 2
    assert "is left from trainings without a history.db: remove it" in capsys.readouterr().err


@pytest.mark.parametrize("is_retrained", [False, True])
def test_a_failed_training_is_tried_again(
    is_retrained: bool,
    searched: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = SearchHistory.read(searched / "search").ranked()[0]
    full = [first.choices]

    def score(config: object, *_: object) -> dict[str, float]:
        if config.model.backbone.architecture["choices"] in map(list, full):  # type: ignore[attr-defined]
            raise OSError("no space left on device")
        return {"coco/bbox_mAP": 0.5}

    monkeypatch.setattr("detnas.stages.standalone.score_checkpoint", score)
    command = ("--retrain-top", "3", "--stages", "search")
    assert run(searched, *command) == 0
    printed = capsys.readouterr().err
    assert "of 2 networks trained without it" in printed
    assert "OSError: no space left on device" in printed
    if is_retrained:  # then the choice is final, and what failed is left alone
        best = (searched / "search" / "best_architecture.json").read_bytes()
        assert run(searched, "--retrain-top", "3") == 0
        full.clear()
        assert run(searched, "--retrain-top", "3") == 0
        assert (searched / "search" / "best_architecture.json").read_bytes() == best
        summary = json.loads((searched / "summary.json").read_text())
        assert summary["trained_candidates"] == 2
        assert summary["seconds"] == pytest.approx(sum(summary["stage_seconds"].values()))
        assert summary["stage_seconds"]["retrain_top"] > 0
    else:
        full.clear()
        assert run(searched, *command) == 0
        assert "of 3 networks trained without it" in capsys.readouterr().err


def test_one_training_is_no_comparison(
    searched: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.5])
    monkeypatch.setattr(
        "detnas.stages.standalone.score_checkpoint", lambda *_: {"coco/bbox_mAP": next(scores)}
    )
    before = (searched / "search" / "best_architecture.json").read_bytes()
    assert run(searched, "--retrain-top", "2") == 2
    assert "1 of 2 trainings ended well" in capsys.readouterr().err
    assert (searched / "search" / "best_architecture.json").read_bytes() == before
    assert not (searched / "retrain").exists()


def test_weights_of_one_architecture_are_refused(
    searched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "configs"
    folder.mkdir()
    for stage in ("pretrain", "finetune", "search", "retrain"):
        (folder / f"{stage}.py").write_text(f'_base_ = ["{MINIATURE / stage}.py"]\n')
    with (folder / "retrain.py").open("a") as file:
        file.write('load_from = "{experiment}/pretrain_subnet/final.pth"\n')
    of_one = MINIATURE.parent / "classification" / "pretrain_subnet.py"
    (folder / "pretrain_subnet.py").write_text(f'_base_ = ["{of_one}"]\n')
    of_folder = [str(folder), "--work-dir", str(searched)]
    for command in (["run", *of_folder, "--check", "--retrain-top", "2"], ["fidelity", *of_folder]):
        assert main(command) == 2
        assert "weights of one architecture, which do not fit others" in capsys.readouterr().err
    assert not (searched / "fidelity").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--retrain-top", "1"), "--retrain-top is 1; it must be at least 2"),
        (("--retrain-top", "2", "--stages", "retrain"), "--retrain-top needs the stage 'search'"),
    ],
)
def test_refused_before_any_work(
    searched: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert run(searched, *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (searched / "retrain_top").exists()


def test_a_recipe_that_trains_on_the_search_split_is_refused(
    searched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "configs"
    folder.mkdir()
    for stage in ("pretrain", "finetune", "search"):
        (folder / f"{stage}.py").write_text(f'_base_ = ["{MINIATURE / stage}.py"]\n')
    (folder / "retrain.py").write_text(
        f'_base_ = ["{MINIATURE / "retrain.py"}"]\n'
        'train_dataloader = dict(dataset=dict(ann_file="annotations/instances_trainsearch.json"))\n'
    )
    command = ["run", str(folder), "--work-dir", str(searched), "--quiet", "--retrain-top", "2"]
    assert main(command) == 2
    assert "--retrain-top trains without the search split" in capsys.readouterr().err
