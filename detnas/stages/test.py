"""`detnas test`: scores a network, or one path of a supernet, on the test split."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process

from detnas.distributed import on_rank_0
from detnas.errors import UserError
from detnas.evaluation.batch_norm import recalibrate
from detnas.evaluation.batches import calibration_loader, scored_loader
from detnas.evaluation.evaluator import (
    build_metrics,
    build_model,
    make_batches,
    quiet_logger,
    quiet_stdout,
    score,
)
from detnas.evaluation.settings import EvaluatorSettings
from detnas.files import write_text
from detnas.models.memory_format import memory_format_explained
from detnas.stages.base import OF_THE_MODEL, Stage
from detnas.stages.checks import (
    backbone_kind,
    check_parts,
    check_values,
    check_weights,
)
from detnas.training.hooks import FINAL_WEIGHTS

METRICS_FILE = "test_metrics.json"


def score_checkpoint(
    config: Config,
    checkpoint: Path | str,
    choices: Sequence[int] | None = None,
) -> dict[str, float]:
    """Score a checkpoint on `test_dataloader` with `test_evaluator`.

    Processes of `detnas.distributed`'s group share the images; all of them return the metrics.

    Args:
        config: from `detnas.config.load_config`.
        checkpoint: the weights of the config's model.
        choices: the path, if the backbone is a supernet. Its batch norm is first recalibrated on
            images of `train_dataloader`, as many as a search takes by default.
    Raises:
        UserError: data or checkpoint are missing or do not fit, or a supernet has no path.
    """
    for key in ("test_dataloader", "test_evaluator"):
        if config.get(key) is None:
            raise UserError(f"the config has no `{key}`: `detnas test` needs it; add it")
    is_supernet = backbone_kind(config) == "DetNASSupernet"
    if is_supernet and choices is None:
        raise UserError("the backbone is a supernet: name the path to test with --architecture")
    if choices is not None and not is_supernet:
        raise UserError("--architecture is for supernets, and the backbone is not one: omit it")
    on_rank_0(lambda: _check(config, checkpoint, is_supernet))
    quiet_logger()
    with quiet_stdout(), memory_format_explained():
        return _score(config, checkpoint, choices)


def _check(config: Config, checkpoint: Path | str, is_supernet: bool) -> None:
    splits = {"test_dataloader": "test"}
    if is_supernet:  # for recalibration
        splits["train_dataloader"] = "train"
    check_values(config)
    check_parts(config, splits, "test_evaluator")
    check_weights(config, checkpoint)


def _score(
    config: Config, checkpoint: Path | str, choices: Sequence[int] | None
) -> dict[str, float]:
    model = build_model(config, checkpoint)
    settings = EvaluatorSettings()
    if choices is not None:
        model.backbone.set_path(choices)
        loader, _ = calibration_loader(
            config.train_dataloader,
            config.test_dataloader,
            settings.calibration_images,
            settings.calibration_batch_size,
            config.randomness["seed"],
        )
        recalibrate(model, make_batches(loader, model, settings))
    loader = scored_loader(config.test_dataloader, config.randomness["seed"])
    dataset: Any = loader.dataset
    metrics = build_metrics(config.test_evaluator, dataset)
    for metric in metrics.metrics:
        if metric.collect_device == "cpu" and metric.collect_dir is None:
            metric.collect_dir = str(Path(config.work_dir) / ".collected")  # all machines share it
        if hasattr(metric, "classwise"):  # mmdet's CocoMetric
            metric.classwise = True
    found = score(model, make_batches(loader, model, settings), metrics, len(dataset))
    return {name: value for name, value in found.items() if not math.isnan(value)}  # no such class


@dataclass(frozen=True)
class TestStage(Stage):
    """The test of the retrained network."""

    __test__ = False  # pytest would collect it

    reads = (*OF_THE_MODEL, "test_dataloader", "test_cfg", "test_evaluator", "env_cfg")

    @property
    def weights(self) -> Path:
        """The checkpoint that is tested."""
        return self.work_dir.parent / "retrain" / FINAL_WEIGHTS

    def check(self) -> float:
        """See `Stage.check`; retraining has the same config, checks it, and takes far longer."""
        return 0.0

    def named_inputs(self) -> Mapping[str, Any]:
        return {"weights": str(self.weights)}

    def run(self, quiet: bool, later: float | None = None) -> None:
        write_metrics(score_checkpoint(self.config, self.weights), self.work_dir)


def write_metrics(metrics: Mapping[str, float], work_dir: Path) -> None:
    """Write `test_metrics.json`, in the first process alone."""
    if is_main_process():
        write_text(work_dir / METRICS_FILE, json.dumps(metrics, indent=2) + "\n")
