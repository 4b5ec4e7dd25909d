"""Runs trained models: metrics of candidates and checkpoints, and detections for pictures.

The candidate evaluator sets the path, recalibrates batch norm, and returns the metrics.
"""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS, MODELS, init_default_scope
from torch import Tensor
from torch.utils.data import DataLoader

from detnas.config import unwrap_dataset
from detnas.errors import UserError
from detnas.evaluation import mended_annotations  # noqa: F401 - before a data set is built
from detnas.evaluation.batch_norm import recalibrate
from detnas.evaluation.batches import Batches, calibration_loader, scored_loader
from detnas.evaluation.bootstrap import recorded_coco_evaluations, resampled_scores
from detnas.evaluation.devices import use_device
from detnas.evaluation.folding import folded_batch_norm
from detnas.evaluation.kept_images import Keep, SharedFolder, keep_in_memory
from detnas.evaluation.ordered import evaluated, quiet_stdout
from detnas.evaluation.racing import RacedScoring
from detnas.evaluation.settings import EvaluatorSettings
from detnas.models.checkpoints import load_weights, slice_subnet
from detnas.models.memory_format import memory_format_explained, use_memory_format
from detnas.models.precision import keep_boxes_in_fp32
from detnas.search.racing import CutOffs, Race


def build_random_model(config: Config) -> Any:
    """The config's model with random weights; no process shares its batch norm with others."""
    init_default_scope(config.get("default_scope", "mmdet"))
    model_config = deepcopy(config.model)
    model_config.backbone.pop("init_cfg", None)
    if "data_preprocessor" in config:
        model_config.setdefault("data_preprocessor", config.data_preprocessor)
    return revert_sync_batchnorm(MODELS.build(model_config))


def build_model(config: Config, weights: Path | str) -> Any:
    """The config's model with the weights of a checkpoint, in evaluation mode on the device here.

    It also sets OpenCV's threads, and how loaders start their workers, as training does: by the
    config's `env_cfg`.

    Raises:
        UserError: as `detnas.models.checkpoints.load_weights`.
    """
    processes = (config.get("env_cfg") or {}).get("mp_cfg") or {}
    cv2.setNumThreads(processes.get("opencv_num_threads", 0))  # as mmengine does for training
    multiprocessing.set_start_method(processes.get("mp_start_method", "fork"), force=True)
    model = build_random_model(config)
    load_weights(model, weights)
    keep_boxes_in_fp32(model)
    return model.requires_grad_(False).eval().to(get_device())


def quiet_logger() -> None:
    """Keep the messages of mmengine and mmdet during evaluation off the console."""
    name = "detnas-evaluation"
    if not MMLogger.check_instance_created(name):
        MMLogger.get_instance(name, log_level="WARNING")


class CandidateEvaluator:
    """Scores architectures of one supernet; scores depend neither on the order nor on the process.

    Args:
        config: a config whose backbone is a supernet. `train_dataloader` is the calibration split;
            `val_dataloader` and `val_evaluator` give the score.
        weights: the supernet's checkpoint.
        settings: how candidates are scored.
        seed: chooses the calibration images.
        resampled: a score to compute on resampled sets of the scored images as well; see
            `detnas.evaluation.bootstrap.resampled_scores`.
        shared: where the workers of a machine keep the images together; None keeps them in the
            memory of this process.
        race: the test of a search that scores on growing shares of the split; None scores all of
            it at once.
    Attributes:
        calibration_images: the number of calibration images.
        notes: remarks for the user, one line each.
    Raises:
        UserError: a checkpoint or dataset is missing or does not fit.
    """

    def __init__(
        self,
        config: Config,
        weights: Path | str,
        settings: EvaluatorSettings,
        seed: int,
        resampled: str | None = None,
        shared: SharedFolder | None = None,
        race: Race | None = None,
    ) -> None:
        quiet_logger()
        use_device(settings.device, settings.tf32)
        self._settings = settings
        self._resampled = resampled
        self._model = build_model(config, weights)
        if not hasattr(self._model.backbone, "set_path"):
            raise UserError(
                "candidates are scored on a supernet, but the config's backbone is "
                f"{type(self._model.backbone).__name__}: set it to DetNASSupernet"
            )
        use_memory_format(self._model, settings.memory_format)
        self._calibration: Batches | None = None
        self.calibration_images = 0

        def batches(name: str, loader: Callable[[], DataLoader]) -> Batches:
            keep = keep_in_memory if shared is None else shared.keep(name)
            return make_batches(loader, self._model, settings, keep)

        with quiet_stdout():
            if settings.calibration_images:
                self._calibration = batches(
                    "calibration",
                    lambda: calibration_loader(
                        config.train_dataloader,
                        config.val_dataloader,
                        settings.calibration_images,
                        settings.calibration_batch_size,
                        seed,
                    ),
                )
                self.calibration_images = self._calibration.images
            self._scored = batches("scored", lambda: scored_loader(config.val_dataloader, seed))
            self._metrics = build_metrics(config.val_evaluator, self._scored.metainfo)
        self._raced = None if race is None else RacedScoring(race, self._scored, seed)
        self.notes: list[str] = []
        if self.calibration_images < settings.calibration_images:
            self.notes.append(
                f"the training split has only {self.calibration_images} images to recalibrate "
                f"batch norm (requested: {settings.calibration_images})"
            )

    def __call__(self, choices: Sequence[int], cut_offs: CutOffs | None = None) -> dict[str, float]:
        """The metrics of one architecture, by full names such as "coco/bbox_mAP".

        Args:
            cut_offs: of a race, by which the architecture may be dropped; None scores it in full.
        """
        with self._calibrated(choices), folding_of(self._model, self._settings):
            if self._raced is not None:
                return self._raced(self._model, self._metrics, cut_offs)
            return self._score()

    def calibrated_weights(self, choices: Sequence[int]) -> dict[str, Tensor]:
        """The state dict of one architecture with its recalibrated statistics, on the CPU.

        The backbone's keys are those of a `DetNASNet`; neck and head are whole.
        """
        with self._calibrated(choices):
            weights = slice_subnet(self._model.state_dict(), choices, "backbone.")
            contiguous = torch.contiguous_format
            return {k: v.cpu().clone(memory_format=contiguous) for k, v in weights.items()}

    @contextmanager
    def _calibrated(self, choices: Sequence[int]) -> Iterator[None]:
        """Set a path, recalibrate it, and compute as the settings say within the block."""
        if self._settings.threads is not None:
            torch.set_num_threads(self._settings.threads)
        self._model.backbone.set_path(choices)
        explained = memory_format_explained("search.evaluator.memory_format")
        with autocast_of(self._model, self._settings), explained:
            try:
                if self._calibration is not None:
                    recalibrate(self._model, self._calibration)
                yield
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()  # for the next try
                raise

    def _score(self) -> dict[str, float]:
        if self._resampled is None:
            return score(self._model, self._scored, self._metrics)
        with recorded_coco_evaluations() as evaluations:
            metrics = score(self._model, self._scored, self._metrics)
        return metrics | resampled_scores(evaluations, metrics, self._resampled)


def autocast_of(model: Any, settings: EvaluatorSettings) -> torch.autocast:
    """The context in which a model computes in the settings' precision."""
    dtype = getattr(torch, settings.dtype)
    device = next(model.parameters()).device.type
    return torch.autocast(device, dtype, enabled=dtype != torch.float32)


def folding_of(model: Any, settings: EvaluatorSettings) -> AbstractContextManager[None]:
    """The context in which a model is scored, its batch norm folded if the settings ask for it."""
    return folded_batch_norm(model) if settings.fold_batch_norm else nullcontext()


def make_batches(
    loader: Callable[[], DataLoader],
    model: Any,
    settings: EvaluatorSettings,
    keep: Keep = keep_in_memory,
) -> Batches:
    """A loader's images in batches for a model, kept as the settings say."""
    divisor = getattr(model.data_preprocessor, "pad_size_divisor", 1)
    is_mixed = settings.batch_shapes == "mixed"
    return Batches(loader, settings.cache_mb << 20, None if is_mixed else divisor, keep)


def build_metrics(config: Any, metainfo: Mapping[str, Any] | None) -> Evaluator:
    """Build a config's `val_evaluator` or `test_evaluator` for a data set of this metainfo."""
    configs = config if isinstance(config, list | tuple) else [config]
    metrics = Evaluator([dict(item) for item in configs])
    metrics.dataset_meta = metainfo
    return metrics


@torch.no_grad()
def score(
    model: Any, batches: Batches, metrics: Evaluator, size: int | None = None
) -> dict[str, float]:
    """Run a model over batches, and return the numeric metrics.

    Metrics get the results in the order of the split, or of this process's share of it.

    Args:
        size: images of the split in all processes; None if the batches have all.
    """
    model.eval()
    for metric in metrics.metrics:  # left over from a failed evaluation
        metric.results.clear()
    for batch in batches:
        samples = model.val_step(batch)
        metrics.process(data_samples=samples, data_batch=batch)
    return evaluated(metrics, batches.order, size)


@dataclass(frozen=True)
class Prediction:
    """Detections and ground truth of an image, in pixels of the image file.

    Boxes are (n, 4) as x1, y1, x2, y2; labels are indices into the classes of `predict`.
    """

    image: Path
    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    truth_boxes: np.ndarray
    truth_labels: np.ndarray


def load_tested(config: Config, checkpoint: Path | str) -> tuple[Any, Any]:
    """The model of a checkpoint as `build_model` has it, and the data set of `test_dataloader`."""
    quiet_logger()
    model = build_model(config, checkpoint)
    with quiet_stdout():
        dataset = DATASETS.build(unwrap_dataset(config.test_dataloader["dataset"])[0])
        dataset.full_init()
    return model, dataset


@torch.no_grad()
def predict(model: Any, dataset: Any, images: int = 12) -> tuple[list[Prediction], tuple[str, ...]]:
    """Run a model on evenly spaced images of a data set, both from `load_tested`.

    Returns:
        The predictions, and the names of the classes.
    """
    predictions = []
    for index in np.linspace(0, len(dataset) - 1, min(images, len(dataset))).astype(int):
        item = dataset[int(index)]
        batch = {key: [value] for key, value in item.items()}
        sample = model.val_step(batch)[0]
        found = sample.pred_instances.cpu()
        truth = dataset.get_data_info(int(index))["instances"]
        predictions.append(
            Prediction(
                Path(sample.img_path),
                found.bboxes.numpy(),
                found.labels.numpy(),
                found.scores.numpy(),
                np.array([t["bbox"] for t in truth], float).reshape(-1, 4),
                np.array([t["bbox_label"] for t in truth], int),
            )
        )
    return predictions, tuple(dataset.metainfo["classes"])
