"""Numbers that a change of structure must not move: losses, scores, proposals, identities.

`values.json` holds what the code of one day gave. Where a change is meant to move them, write them
again with `python tests/golden/test_golden.py`, and say so in the commit.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from msgspec.structs import replace

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "detnas" / "search")]
MINIATURE = HERE.parent / "miniature"
VALUES = HERE / "values.json"
HALF_SEARCH = HERE / "history_v2.db"  # the toy evolution of `proposals`, killed in generation 2
SEED = 0


def proposals() -> dict[str, list[str]]:
    """40 proposals of every strategy, in 5 generations."""
    from toy_search import TOY_STRATEGIES, CandidateCosts, toy_sampler, toy_score

    made = {}
    for settings in TOY_STRATEGIES:
        sampler = toy_sampler()
        longer = replace(settings, generations=5, population=8)
        strategy = longer.build(sampler, CandidateCosts(sampler), SEED)
        made[settings.type] = []
        while asked := strategy.ask():
            strategy.tell([(choices, toy_score(choices)) for choices in asked])
            made[settings.type] += ["".join(map(str, choices)) for choices in asked]
    return made


def stages(folder: Path, detector: str) -> dict[str, Any]:
    """Losses, identities and candidates' outputs of a miniature experiment, in its folder."""
    import torch

    from detnas.cli import main
    from detnas.data.digits import DigitCounts, write_digits

    write_digits(folder / "data", counts=DigitCounts(24, 10, 8, 4, 4))
    torch.set_num_threads(2)
    run = ["run", str(MINIATURE / detector), "--work-dir", str(folder), "--quiet"]
    # Weights stay as they begin: training amplifies the last digits, in which processors differ.
    options = ["default_hooks.logger.interval=1", "optim_wrapper.optimizer.lr=0.0"]
    assert main([*run, "--cfg-options", *options]) == 0
    losses = {}
    for stage in ("pretrain", "finetune", "retrain"):
        (log,) = (folder / stage).glob("*/vis_data/scalars.json")
        losses[stage] = [json.loads(line)["loss"] for line in log.read_text().splitlines()]
    identities = {
        state.parent.name: json.loads(state.read_text())["config_sha256"]
        for state in folder.glob("*/stage.json")
    }
    return {
        "losses": losses,
        "config_sha256": identities,
        "fingerprint": _fingerprint(folder / "search" / "history.db"),
        "outputs": outputs(folder, detector),
    }


def _fingerprint(history: Path) -> dict[str, Any]:
    """What a search's history says that it depends on, less hashes of weights and the device."""
    import sqlite3

    with sqlite3.connect(history) as connection:
        (text,) = connection.execute("SELECT value FROM meta WHERE key = 'fingerprint'").fetchone()
    fingerprint: dict[str, Any] = json.loads(text)
    del fingerprint["supernet_sha256"], fingerprint["evaluator"]["device"]
    return fingerprint


def outputs(folder: Path, detector: str) -> list[dict[str, float]]:
    """Sums of scores and boxes of three candidates of an untrained supernet, after recalibration.

    Untrained, since a few steps of training amplify the last digits, in which processors differ.
    """
    import torch
    from mmdet.registry import METRICS, MODELS
    from mmengine.evaluator import BaseMetric
    from mmengine.registry import init_default_scope

    from detnas.config import load_config
    from detnas.evaluation.evaluator import CandidateEvaluator
    from detnas.evaluation.settings import EvaluatorSettings

    @METRICS.register_module(force=True)
    class SumsOfDetections(BaseMetric):
        def process(self, data_batch: Any, data_samples: Any) -> None:
            for sample in data_samples:
                found = sample["pred_instances"]
                sums = [float(found[key].double().sum()) for key in ("scores", "bboxes")]
                self.results.append((*sums, len(found["scores"])))

        def compute_metrics(self, results: list[Any]) -> dict[str, float]:
            sums = (sum(column) for column in zip(*results, strict=True))
            return dict(zip(("scores", "boxes", "count"), sums, strict=True))

    threshold = "rcnn.score_thr" if detector == "faster_rcnn" else "score_thr"
    options = {
        "val_evaluator": {"_delete_": True, "type": "SumsOfDetections"},
        f"model.test_cfg.{threshold}": 0.0,
    }
    config = load_config(MINIATURE / detector / "search.py", options, folder / "search")
    settings = EvaluatorSettings(calibration_images=6, calibration_batch_size=4, threads=1)
    init_default_scope("mmdet")
    torch.manual_seed(SEED)
    config.model.backbone.pop("init_cfg")
    model = MODELS.build(config.model)
    model.init_weights()
    weights = folder / "untrained.pth"
    meta = {"detnas": model.backbone.identity()}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, weights)
    evaluator = CandidateEvaluator(config, weights, settings, seed=SEED)
    paths = np.random.default_rng(SEED).integers(0, 4, (3, 10)).tolist()
    return [evaluator(path) for path in paths]


def half_search(path: Path) -> None:
    """The toy evolution, stopped after three results of its third generation."""
    from toy_search import interrupted_after, toy_search

    with pytest.raises(KeyboardInterrupt):
        toy_search(path, evaluate=interrupted_after(15))


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(VALUES.read_text())
    return values


def test_strategies_propose_what_they_proposed(expected: dict[str, Any]) -> None:
    assert proposals() == expected["proposals"]


@pytest.mark.parametrize("detector", ["retinanet", "faster_rcnn"])
def test_stages_compute_what_they_computed(
    detector: str, expected: dict[str, Any], tmp_path: Path
) -> None:
    now, before = stages(tmp_path, detector), expected[detector]
    for stage, losses in before["losses"].items():
        assert now["losses"][stage] == pytest.approx(losses, rel=1e-4), stage
    for candidate, sums in zip(now["outputs"], before["outputs"], strict=True):
        assert candidate == pytest.approx(sums, rel=1e-4)
    assert now["fingerprint"] == before["fingerprint"]
    assert now["config_sha256"] == before["config_sha256"]


def test_a_search_begun_before_goes_on_as_it_would_have(tmp_path: Path) -> None:
    from toy_search import toy_search, trajectory

    shutil.copy(HALF_SEARCH, tmp_path / "history.db")
    resumed = toy_search(tmp_path / "history.db")
    whole = toy_search(tmp_path / "whole.db")
    assert trajectory(list(resumed.evaluations)) == trajectory(list(whole.evaluations))


def write(folder: Path) -> None:
    """Write the golden values anew, working in a folder."""
    values: dict[str, Any] = {"proposals": proposals()}
    with mock.patch("yapf.yapflib.yapf_api.FormatCode", lambda text, **_: (text, True)):
        for detector in ("retinanet", "faster_rcnn"):
            values[detector] = stages(folder / detector, detector)
    VALUES.write_text(json.dumps(values, indent=1) + "\n")
    HALF_SEARCH.unlink(missing_ok=True)
    half_search(HALF_SEARCH)
    for file in [*HERE.glob("*.lock"), *HERE.glob("*.backup.db")]:
        file.unlink()


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        write(Path(temporary))
