"""What a plan keeps of the history that it continues: threads and shapes of batches."""

from pathlib import Path
from typing import Any

import pytest

from detnas.config import load_config
from detnas.data.digits import DigitCounts, write_digits
from detnas.evaluation.settings import EvaluatorSettings
from detnas.search.history.fingerprint import check_fingerprint
from detnas.stages.plan import plan_search

CONFIG = Path(__file__).parents[2] / "miniature/retinanet/search.py"
COUNTS = DigitCounts(train_crops=10, val_crops=10, train_scenes=2, search_scenes=2, val_scenes=2)
OLD = {"evaluator": {"threads": 5}}  # of a version without `batch_shapes`


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    write_digits(folder, counts=COUNTS)
    return folder / "detection"


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


def test_an_old_search_does_not_change_to_batches_of_one_shape() -> None:
    check_fingerprint("x", OLD, {"evaluator": {"threads": 5, "batch_shapes": "mixed"}})
    with pytest.raises(ValueError, match=r'batch_shapes = "mixed", but this search has "equal"'):
        check_fingerprint("x", OLD, {"evaluator": {"threads": 5, "batch_shapes": "equal"}})
