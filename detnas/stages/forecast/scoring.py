"""Measures what an image takes to recalibrate batch norm with, and to detect on."""

import time
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device

from detnas.evaluation.batch_norm import recalibrate
from detnas.evaluation.batches import calibration_loader, scored_loader
from detnas.evaluation.evaluator import (
    build_random_model,
    make_batches,
    quiet_logger,
    quiet_stdout,
)
from detnas.evaluation.settings import EvaluatorSettings
from detnas.models.memory_format import MEMORY_FORMATS
from detnas.stages.forecast.pace import random_path, undisturbed

SCORED_IMAGES = 16


@dataclass(frozen=True)
class ScoringPace:
    """Seconds for one image: to recalibrate batch norm with it, and to detect on it."""

    calibration: float
    scoring: float

    def candidate(self, settings: EvaluatorSettings, training: int, scored: int) -> float:
        """Seconds for a candidate, without the matching of its boxes.

        Args:
            training, scored: images of the training split, and of the one that is scored.
        """
        images = min(settings.calibration_images, training)
        return images * self.calibration + scored * self.scoring


@torch.no_grad()
def measure_scoring(config: Config, settings: EvaluatorSettings) -> ScoringPace:
    """Recalibrate and score a random path of a search's supernet on a few images.

    Args:
        config: of a search, checked.
        settings: of its evaluator.
    """
    config = deepcopy(config)
    for key in ("train_dataloader", "val_dataloader"):
        for dataset in _datasets(config[key].dataset):
            dataset["indices"] = SCORED_IMAGES
    seed = config.randomness["seed"]
    threads = torch.get_num_threads()
    with quiet_stdout(), undisturbed():
        quiet_logger()
        model = build_random_model(config).eval().to(get_device())
        model.to(memory_format=MEMORY_FORMATS[settings.memory_format])
        model.backbone.memory_format = MEMORY_FORMATS[settings.memory_format]
        model.backbone.set_path(random_path(model.backbone.space))
        loaders = (
            calibration_loader(
                *(config.train_dataloader, config.val_dataloader, SCORED_IMAGES),
                *(settings.calibration_batch_size, seed),
            ),
            scored_loader(config.val_dataloader, seed),
        )
        calibration = make_batches(lambda: loaders[0], model, settings)
        scored = make_batches(lambda: loaders[1], model, settings)
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        try:
            per_image = [
                _per_image(lambda: recalibrate(model, calibration), loaders[0]),
                _per_image(lambda: [model.val_step(batch) for batch in scored], loaders[1]),
            ]
        finally:
            torch.set_num_threads(threads)
    return ScoringPace(*per_image)


def _datasets(dataset: Any) -> Iterator[Any]:
    """The plain data sets, as the config holds them, to be changed."""
    if "datasets" in dataset:
        for part in dataset["datasets"]:
            yield from _datasets(part)
    elif isinstance(dataset.get("dataset"), Mapping):
        yield from _datasets(dataset["dataset"])
    else:
        yield dataset


def _per_image(work: Any, loader: Any) -> float:
    work()  # loads the images, which a search keeps
    began = time.perf_counter()
    work()
    if get_device() == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / max(1, len(loader.dataset))
