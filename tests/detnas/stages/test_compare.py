"""The stage `compare` through the command line: trained once, resumed, extended, refused early."""

import json
import shutil
from pathlib import Path

import pytest

from detnas.cli import main
from detnas.errors import UserError
from detnas.search.compared import FOUND, read_comparison
from detnas.stages.compare import CompareStage
from detnas.stages.experiment import Experiment
from search_space.architecture import Architecture

MINIATURE = Path(__file__).parents[2] / "miniature" / "compare"
NAMES = ["3x3", "random", "narrow_resnet"]


def run(folder: Path, *arguments: str) -> int:
    return main(["run", str(MINIATURE), "--work-dir", str(folder), "--quiet", *arguments])


@pytest.fixture(scope="module")
def compared(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished experiment, with its network compared with three others."""
    folder = tmp_path_factory.mktemp("compared") / "experiment"
    shutil.copytree(experiment, folder)
    assert run(folder, "--stages", "compare") == 0
    return folder


def test_every_network_has_its_row(compared: Path) -> None:
    found = read_comparison(compared / "compare")
    assert found is not None
    assert [each.name for each in found.networks] == [FOUND, *NAMES]
    best = Architecture.load(compared / "best_architecture.json")
    summary = json.loads((compared / "summary.json").read_text())
    assert found.found.choices == best.choices
    assert found.found.score == summary["test_metrics"]["coco/bbox_mAP"]
    assert found.found.measured.backbone_macs == summary["best_macs"]
    assert found.found.measured.backbone_params == summary["best_params"]
    assert found.found.measured.detector_macs == summary["detector_macs"]
    assert (found.images, found.resamples) == (4, 200)
    by_name = {each.name: each for each in found.networks}
    assert by_name["3x3"].choices == (0,) * 10
    assert by_name["3x3"].label == "ShuffleNet 3\N{MULTIPLICATION SIGN}3 in every block"
    assert by_name["random"].is_within_budget
    assert by_name["narrow_resnet"].choices is None
    assert all(each.measured.latency_ms > 0 for each in found.networks)
    assert summary["comparison"]["networks"][1]["name"] == "3x3"
    assert len(summary["comparison"]["verdict"]) == 4
    page = (compared / "report.html").read_text(encoding="utf-8")
    assert "Is it better?" in page
    assert "narrow_resnet" in page
    assert "comparison.networks" not in page  # the table has them


def test_a_finished_network_is_not_trained_again(
    compared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "experiment"
    shutil.copytree(compared, folder)
    assert run(folder, "--stages", "compare") == 0
    printed = capsys.readouterr()
    assert "compare: finished before" in printed.err
    assert "The found network cannot be told from so few test images" in printed.out

    # Killed in the last training, and asked for one more network, which is the found one.
    for state in (folder / "compare", folder / "compare" / "narrow_resnet"):
        content = json.loads((state / "stage.json").read_text())
        (state / "stage.json").write_text(json.dumps({**content, "seconds": None}))
    (folder / "compare" / "comparison.json").unlink()
    (folder / "compare" / "narrow_resnet" / "final.pth").unlink()
    (folder / "compare" / "narrow_resnet" / "iter_3.pth").unlink()
    weights = [folder / "compare" / name / "final.pth" for name in NAMES[:2]]
    before = [file.stat().st_mtime_ns for file in weights]
    networks = f"compare.networks=['3x3','random','{folder}/search/best_architecture.json']"
    assert run(folder, "--stages", "compare", "--cfg-options", networks) == 0
    printed = capsys.readouterr()
    assert [file.stat().st_mtime_ns for file in weights] == before
    assert "compare 3x3 [1/3]: finished before" in printed.err
    assert "compare narrow_resnet  iteration 3/3" in printed.err
    assert "best_architecture is the found network, and was not trained again" in printed.err
    found = read_comparison(folder / "compare")
    assert found is not None
    assert found.same_as_found == ("best_architecture",)

    # Another recipe for a network that was begun is refused, before anything runs.
    assert run(folder, "--cfg-options", networks, "fpn_channels=32", "--stages", "compare") == 2
    assert "begun with other values, fpn_channels" in capsys.readouterr().err


def folder_of_configs(folder: Path, **files: str) -> Path:
    """A folder whose configs inherit those of the miniature, with lines of their own."""
    folder.mkdir()
    for file in MINIATURE.glob("*.py"):
        base = (
            f'_base_ = ["{file}"]\n' if file.name != "compare.py" else '_base_ = ["./retrain.py"]\n'
        )
        (folder / file.name).write_text(base + files.get(file.stem, ""))
    return folder


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"compare": ""}, "names nothing to compare with"),
        ({"compare": "compare = dict(network=['3x3'])"}, "did you mean 'networks'"),
        ({"compare": "compare = dict(networks=['small:1'])"}, "compare.networks: small:1"),
        ({"compare": "compare = dict(networks=['3x3', '3x3'])"}, "names '3x3' twice"),
        ({"compare": "compare = dict(stock={'../a': 'resnet.py'})"}, "cannot name a network's"),
        ({"compare": "compare = dict(stock=dict(a='none.py'))"}, "none.py does not exist"),
        (
            {"compare": "compare = dict(networks=['3x3'])\nlr = 0.5"},
            "sets another value than retrain.py, lr: 0.04 -> 0.5: leave it out",
        ),
        (
            {
                "compare": "compare = dict(stock=dict(a='{{ fileDirname }}/resnet.py'))",
                "resnet": "max_iters = 4",
            },
            "trains for max_iters 4, retraining for 3: set max_iters to 3 there",
        ),
        (
            {
                "compare": "compare = dict(stock=dict(a='{{ fileDirname }}/resnet.py'))",
                "resnet": "train_split = 'train'",
            },
            "train_dataloader has other images than that of retraining",
        ),
        (
            {
                "compare": "compare = dict(stock=dict(a='{{ fileDirname }}/resnet.py'))",
                "resnet": "backbone = dict(init_cfg=dict(type='Pretrained', "
                "checkpoint='torchvision://resnet5000'))",
            },
            "torchvision has no weights 'resnet5000'",
        ),
    ],
)
def test_refused_before_any_work(
    files: dict[str, str], message: str, experiment: Path, tmp_path: Path
) -> None:
    folder = folder_of_configs(tmp_path / "configs", **files)
    options = {"data_root": f"{experiment}/data/detection"}
    with pytest.raises(UserError) as raised:
        Experiment(folder, tmp_path / "work", options).stage("compare").check()
    assert message in str(raised.value)
    assert not (tmp_path / "work").exists()


def test_a_download_is_announced(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("detnas.stages.checks.stock.say_once", said.append)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    stock = "compare = dict(stock=dict(a='{{ fileDirname }}/resnet.py'))"
    weights = (
        "backbone = dict(init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18'))"
    )
    folder = folder_of_configs(tmp_path / "configs", compare=stock, resnet=weights)
    options = {"data_root": f"{experiment}/data/detection"}
    Experiment(folder, tmp_path / "work", options).stage("compare").check()
    assert "will be downloaded from https://download.pytorch.org/models/resnet18" in said[0]
    assert str(tmp_path / "torch" / "hub" / "checkpoints" / "resnet18") in said[0]


def test_the_random_network_is_of_the_seed_and_not_the_found_one(tmp_path: Path) -> None:
    def drawn(seed: int, found: Architecture | None = None) -> tuple[int, ...]:
        stage = Experiment(MINIATURE, tmp_path / "work", {}, seed).stage("compare")
        assert isinstance(stage, CompareStage)
        found = found or Architecture(stage.plan.space, (3,) * 10)
        choices = stage.plan.networks(found)[1].choices
        assert choices is not None
        assert stage.plan.is_within_budget(choices)
        return choices

    first = drawn(0)
    assert drawn(0) == first
    assert drawn(1) != first
    space = Experiment(MINIATURE, tmp_path, {}).stage("compare").plan.space  # type: ignore[attr-defined]
    assert drawn(0, Architecture(space, first)) != first
