"""The time left of a run, from the pace of one stage and the multiply-adds of those after it."""

from pathlib import Path
from typing import Any

import pytest

from detnas.console import time_left
from detnas.evaluation.complexity import detector_macs
from detnas.evaluation.evaluator import load_tested
from detnas.stages.experiment import Experiment, check_experiment
from detnas.stages.outlook import CheckedStage, relative_time_after
from search_space.cost import macs_table
from search_space.spaces import get_space

MINIATURE = Path(__file__).parents[2] / "miniature" / "retinanet"
CROP = (3, 48, 48)


@pytest.fixture(scope="module")
def checked(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, CheckedStage]:
    options = {"data_root": f"{digits}/detection", "pretrain_root": f"{digits}/classification"}
    folder = tmp_path_factory.mktemp("work")
    return check_experiment(Experiment(MINIATURE, folder, options))


def test_multiply_adds_of_pretraining(checked: dict[str, CheckedStage]) -> None:
    of_backbone = macs_table(get_space("tiny"), CROP).of((0,) * 10)
    images, passes = 4 * 8, 3
    assert checked["pretrain"].macs == pytest.approx(passes * images * of_backbone, rel=0.05)


def test_multiply_adds_of_detectors(checked: dict[str, CheckedStage], experiment: Path) -> None:
    """As torch counts them in the detector of the test, whose network is another one."""
    options: dict[str, Any] = {"data_root": f"{experiment}/data/detection"}
    stage = Experiment(MINIATURE, experiment, options).stage("test")
    image, _ = detector_macs(*load_tested(stage.config, experiment / "retrain" / "final.pth"))
    steps, batch, passes = 3, 4, 3
    assert checked["finetune"].macs == pytest.approx(passes * steps * batch * image, rel=0.1)
    assert checked["retrain"].macs == checked["finetune"].macs
    calibration, scored, candidates = 6, 2, 4 + 2
    assert checked["search"].macs == pytest.approx(
        candidates * (calibration + scored) * image, rel=0.1
    )


def test_stages_of_one_kind_are_compared(checked: dict[str, CheckedStage]) -> None:
    assert relative_time_after(checked, "pretrain", 0) is None  # detectors are ahead
    macs = {name: stage.macs for name, stage in checked.items()}
    ahead = macs["search"] + macs["retrain"]
    assert relative_time_after(checked, "finetune", 0) == pytest.approx(ahead / macs["finetune"])
    assert relative_time_after(checked, "search", 0) == pytest.approx(
        macs["retrain"] / macs["search"]
    )
    assert relative_time_after(checked, "search", 3) == pytest.approx(
        4 * macs["retrain"] / macs["search"]
    )
    assert relative_time_after(checked, "retrain", 0) == 0
    without = {**checked, "search": CheckedStage(True, 0.0, False)}
    assert relative_time_after(without, "finetune", 0) is None
    finished = {**checked, "search": CheckedStage(False, macs["search"], False)}
    assert relative_time_after(finished, "finetune", 0) == pytest.approx(
        macs["retrain"] / macs["finetune"]
    )


def test_the_time_left_in_words() -> None:
    assert time_left(30.0, None, 120.0) == time_left(30.0, 0.0, 120.0) == "30 s left"
    assert time_left(30.0, 2.5, 120.0) == "30 s left, of the run about 5 min 30 s"
