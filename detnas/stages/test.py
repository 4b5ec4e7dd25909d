"""`detnas test`: scores a network, or one path of a supernet, on the test split."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.registry import DATASETS

from detnas.config import unwrap_dataset
from detnas.distributed import on_rank_0
from detnas.errors import UserError, user_input
from detnas.evaluation.batch_norm import recalibrate
from detnas.evaluation.batches import calibration_loader, scored_loader
from detnas.evaluation.devices import use_device
from detnas.evaluation.error_analysis import analyse, can_analyse, recorded_box_evaluations
from detnas.evaluation.evaluator import (
    autocast_of,
    build_metrics,
    build_model,
    folding_of,
    make_batches,
    quiet_logger,
    quiet_stdout,
    score,
)
from detnas.evaluation.settings import EvaluatorSettings
from detnas.files import write_text
from detnas.models.memory_format import memory_format_explained, use_memory_format
from detnas.search.detection_errors import ERRORS_FILE
from detnas.stages.base import OF_THE_MODEL, Stage
from detnas.stages.checks import (
    backbone_kind,
    check_parts,
    check_values,
    check_weights,
)
from detnas.stages.scalars import show_test
from detnas.training.hooks import FINAL_WEIGHTS
from search_space.validation import convert

METRICS_FILE = "test_metrics.json"
SCORING = "scoring"
"""Section of a config: how its network is scored, with the keys of `EvaluatorSettings`."""


def score_checkpoint(
    config: Config,
    checkpoint: Path | str,
    choices: Sequence[int] | None = None,
    checked: bool = False,
) -> dict[str, float]:
    """Score a checkpoint on `test_dataloader` with `test_evaluator`.

    Processes of `detnas.distributed`'s group share the images; all of them return the metrics.

    Args:
        config: from `detnas.config.load_config`.
        checkpoint: the weights of the config's model.
        choices: the path, if the backbone is a supernet. Its batch norm is first recalibrated on
            images of `train_dataloader`, as many as a search takes by default.
        checked: whether data and checkpoint have been checked.
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
    settings = scoring_settings(config)
    if not checked:
        on_rank_0(lambda: _check(config, checkpoint, is_supernet))
    quiet_logger()
    threads = torch.get_num_threads()
    try:
        with quiet_stdout(), memory_format_explained():
            return _score(config, checkpoint, choices, settings)
    finally:
        torch.set_num_threads(threads)


def scoring_settings(config: Config) -> EvaluatorSettings:
    """The section `scoring` of a config, as settings.

    Raises:
        UserError: it has unknown keys or invalid values.
    """
    with user_input():
        return convert(config.to_dict().get(SCORING) or {}, EvaluatorSettings, SCORING)


def _check(config: Config, checkpoint: Path | str, is_supernet: bool) -> None:
    splits = {"test_dataloader": "test"}
    if is_supernet:  # for recalibration
        splits["train_dataloader"] = "train"
    check_values(config)
    check_parts(config, splits, "test_evaluator")
    check_weights(config, checkpoint)


def _score(
    config: Config,
    checkpoint: Path | str,
    choices: Sequence[int] | None,
    settings: EvaluatorSettings,
) -> dict[str, float]:
    use_device(settings.device, settings.tf32)
    model = build_model(config, checkpoint)
    if config.get(SCORING):  # otherwise the layout is that of the backbone's own setting
        use_memory_format(model, settings.memory_format)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    with autocast_of(model, settings):
        return score_model(model, config, choices, settings)


def score_model(
    model: Any, config: Config, choices: Sequence[int] | None, settings: EvaluatorSettings
) -> dict[str, float]:
    """Score a model as `score_checkpoint` does, which has checked and set everything else.

    Args:
        model: has `val_step`, `eval` and `data_preprocessor`, as models of mmdet's have.
    """
    if choices is not None:
        model.backbone.set_path(choices)
        calibration = calibration_loader(
            config.train_dataloader,
            config.test_dataloader,
            settings.calibration_images,
            settings.calibration_batch_size,
            config.randomness["seed"],
        )
        recalibrate(model, make_batches(lambda: calibration, model, settings))
    loader = scored_loader(config.test_dataloader, config.randomness["seed"])
    dataset: Any = loader.dataset
    metrics = build_metrics(config.test_evaluator, getattr(dataset, "metainfo", None))
    for metric in metrics.metrics:
        if metric.collect_device == "cpu" and metric.collect_dir is None:
            metric.collect_dir = str(Path(config.work_dir) / ".collected")  # all machines share it
        if hasattr(metric, "classwise"):  # mmdet's CocoMetric
            metric.classwise = True
    batches = make_batches(lambda: loader, model, settings)
    with folding_of(model, settings):
        found = score(model, batches, metrics, len(dataset))
    return {name: value for name, value in found.items() if not math.isnan(value)}  # no such class


@dataclass(frozen=True)
class TestStage(Stage):
    """The test of the retrained network."""

    __test__ = False  # pytest would collect it

    reads = (*OF_THE_MODEL, "test_dataloader", "test_cfg", "test_evaluator", "env_cfg", SCORING)

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
        with recorded_box_evaluations() as evaluations:
            metrics = score_checkpoint(self.config, self.weights)
        write_metrics(metrics, self.work_dir)
        show_test(self.config, metrics)
        if evaluations and is_main_process():
            _write_errors(evaluations[0], self.config, self.work_dir)


def _write_errors(evaluation: Any, config: Config, work_dir: Path) -> None:
    """Write `errors.json` for the report, if hotcoco is installed."""
    if not can_analyse():
        print("no error types: hotcoco is missing (detnas[report] has it)", file=sys.stderr)
        return
    with quiet_stdout():
        dataset = DATASETS.build(unwrap_dataset(config.test_dataloader["dataset"])[0])
        dataset.full_init()
    items = (dataset.get_data_info(number) for number in range(len(dataset)))
    paths = {item["img_id"]: Path(item["img_path"]) for item in items}
    analyse(evaluation, paths).save(work_dir / ERRORS_FILE)


def write_metrics(metrics: Mapping[str, float], work_dir: Path) -> None:
    """Write `test_metrics.json`, in the first process alone."""
    if is_main_process():
        write_text(work_dir / METRICS_FILE, json.dumps(metrics, indent=2) + "\n")
