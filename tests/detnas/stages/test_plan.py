"""What a plan keeps of the history that it continues: threads, device, shapes of batches."""

from pathlib import Path
from typing import Any

import pytest
import torch

from detnas.config import load_config
from detnas.evaluation.settings import EvaluatorSettings
from detnas.search.history.fingerprint import check_fingerprint
from detnas.stages.plan import plan_search

CONFIG = Path(__file__).parents[2] / "miniature/retinanet/search.py"
OLD = {"evaluator": {"threads": 5}}  # of a version without `batch_shapes`


@pytest.fixture(scope="module")
def data(digits: Path) -> Path:
    return digits / "detection"


def evaluator(data: Path, recorded: dict[str, Any] | None, **options: Any) -> EvaluatorSettings:
    options = {f"search.evaluator.{key}": value for key, value in options.items()}
    options |= {"data_root": str(data), "pretrained": None}
    return plan_search(
        load_config(CONFIG, options, data.parent / "work"), recorded
    ).settings.evaluator


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        (None, "equal"),
        (OLD, "mixed"),
        ({"evaluator": {"batch_shapes": "equal"}}, "equal"),
        ({"evaluator": {"batch_shapes": "mixed"}}, "mixed"),
    ],
)
def test_a_resumed_search_keeps_its_batches(
    data: Path, recorded: dict[str, Any] | None, expected: str
) -> None:
    assert evaluator(data, recorded).batch_shapes == expected
    asked = evaluator(data, recorded, batch_shapes="equal", threads=3)
    assert (asked.batch_shapes, asked.threads) == ("equal", 3)


def test_threads_are_kept(data: Path) -> None:
    assert evaluator(data, OLD, threads=None).threads == 5


def test_the_kind_of_device_is_kept(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = "cuda" if torch.cuda.is_available() else "cpu"
    new = evaluator(data, None)
    assert (new.device, new.tf32) == (here, True)
    assert evaluator(data, OLD).device == here
    began = {"evaluator": {"device": "cuda", "tf32": False}}
    resumed = evaluator(data, began)
    assert (resumed.device, resumed.tf32) == ("cuda", False)
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert evaluator(data, None).tf32 is False
    assert evaluator(data, {"evaluator": {"tf32": True}}).tf32 is True


def test_a_search_of_one_device_does_not_go_on_by_another() -> None:
    on_gpu = {"evaluator": {"device": "cuda", "tf32": True}}
    check_fingerprint("x", {"evaluator": {}}, on_gpu)  # of a version that did not record it
    with pytest.raises(ValueError, match=r'evaluator.device = "cuda", but now it is "cpu"'):
        check_fingerprint("x", on_gpu, {"evaluator": {"device": "cpu", "tf32": True}})
    with pytest.raises(ValueError, match=r"evaluator.tf32 = true, but now it is false"):
        check_fingerprint("x", on_gpu, {"evaluator": {"device": "cuda", "tf32": False}})


def test_an_old_search_does_not_change_to_batches_of_one_shape() -> None:
    check_fingerprint("x", OLD, {"evaluator": {"threads": 5, "batch_shapes": "mixed"}})
    with pytest.raises(ValueError, match=r'batch_shapes = "mixed", but now it is "equal"'):
        check_fingerprint("x", OLD, {"evaluator": {"threads": 5, "batch_shapes": "equal"}})


def test_a_budget_that_excludes_nothing_is_said(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"data_root": str(data), "pretrained": None, "search.budgets": [{"cost": "macs"}]}
    options["search.budgets"][0]["upper"] = 51e6  # type: ignore[index]
    plan_search(load_config(CONFIG, options, data.parent / "work"))
    assert "excludes nothing" not in capsys.readouterr().err
    options["search.budgets"][0]["upper"] = 60e6  # type: ignore[index]
    plan_search(load_config(CONFIG, options, data.parent / "work"))
    assert "macs <= 60,000,000 excludes nothing: the networks of the space" in (
        capsys.readouterr().err
    )
