"""Scores a few random paths of a supernet while it trains; its loss alone shows no overfitting."""

from copy import deepcopy
from typing import Annotated, Any

import numpy as np
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import HOOKS
from msgspec import Meta, Struct

from detnas.evaluation.batch_norm import recalibrate
from detnas.evaluation.batches import calibration_loader, scored_loader
from detnas.evaluation.evaluator import (
    build_metrics,
    make_batches,
    quiet_logger,
    quiet_stdout,
    score,
)
from detnas.evaluation.settings import EvaluatorSettings
from detnas.models.checkpoints import unwrapped
from search_space.sampling import BudgetSampler

Count = Annotated[int, Meta(ge=1)]
_STREAM = 7  # number of this random use; see detnas.training.seeding


class PathValidation(Struct, frozen=True, forbid_unknown_fields=True):
    """The section `path_validation` of a config.

    Attributes:
        interval: iterations between two validations.
        paths: how many paths are scored; the same ones each time.
        calibration_images: of the training split, for the batch norm of each path.
    """

    interval: Count
    paths: Count = 4
    calibration_images: Count = 500


@HOOKS.register_module()
class PathValidationHook(Hook):
    """Scores random paths of the supernet on the search split, every `interval` iterations.

    The paths are drawn uniformly, once. They are scored as a search scores candidates, with batch
    norm recalibrated, on a copy of the model, so the training is the same with and without it.
    The mean of the config's `score` is logged with its range, and given to the visualizer as
    "paths/<score>". The first process does it, and the others wait.

    Args:
        settings: those of the section `path_validation`.
    """

    priority = "LOW"

    def __init__(self, **settings: int) -> None:
        self._settings = PathValidation(**settings)
        self._data: tuple[Any, ...] | None = None

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Validates if it is time."""
        if self.every_n_train_iters(runner, self._settings.interval):
            if is_main_process():
                self._validate(runner)
            barrier()

    def _validate(self, runner: Any) -> None:
        model = revert_sync_batchnorm(deepcopy(unwrapped(runner.model))).requires_grad_(False)
        with quiet_stdout():
            if self._data is None:
                quiet_logger()
                self._data = self._load(runner.cfg, model)
            calibration, scored, metrics, size = self._data
            found = []
            for path in self._paths(model, runner.seed):
                model.backbone.set_path(path)
                recalibrate(model, calibration)
                found.append(score(model, scored, metrics, size)[runner.cfg.score])
        name, mean = runner.cfg.score, float(np.mean(found))
        runner.logger.info(
            f"{len(found)} random paths: {name} {mean:.4f} ({min(found):.4f} to {max(found):.4f})"
        )
        runner.visualizer.add_scalars({f"paths/{name}": mean}, step=runner.iter + 1)

    def _paths(self, model: Any, seed: int) -> list[list[int]]:
        sampler = BudgetSampler(model.backbone.space)
        rng = np.random.default_rng([seed, _STREAM])
        drawn: list[list[int]] = sampler.sample(rng, self._settings.paths).tolist()
        return drawn

    def _load(self, config: Any, model: Any) -> tuple[Any, ...]:
        settings = EvaluatorSettings(calibration_images=self._settings.calibration_images)
        calibration, _ = calibration_loader(
            config.train_dataloader,
            config.search_dataloader,
            settings.calibration_images,
            settings.calibration_batch_size,
            config.randomness["seed"],
        )
        scored: Any = scored_loader(config.search_dataloader, config.randomness["seed"])
        return (
            make_batches(calibration, model, settings),
            make_batches(scored, model, settings),
            build_metrics(config.search_evaluator, scored.dataset),
            len(scored.dataset),
        )
