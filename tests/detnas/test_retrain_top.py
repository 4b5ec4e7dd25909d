"""`detnas run --retrain-top`: trains candidates without the search split, which chooses."""

import json
import shutil
from pathlib import Path

import pytest

from detnas.cli import main
from detnas.search.history.reading import SearchHistory

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
    assert "chosen of 2 trained on the search split" in capsys.readouterr().err
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
