"""Scores a few random paths of a supernet while it trains; its loss alone shows no overfitting."""

import logging
import sys
from collections.abc import Mapping, Sequence
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
from search_space.architecture import Choices
from search_space.choices import CHOICES
from search_space.sampling import BudgetSampler
from search_space.spaces import SearchSpace

_TIMES = "\N{MULTIPLICATION SIGN}"

Count = Annotated[int, Meta(ge=1)]
_STREAM = 7  # number of this random use; see detnas.training.seeding


class PathValidation(Struct, frozen=True, forbid_unknown_fields=True):
    """The section `path_validation` of a config.

    Attributes:
        interval: iterations between two validations.
        paths: how many paths are scored; the same ones each time.
        calibration_images: of the training split, for the batch norm of each path.
        per_choice: score also, for each choice, the path that has it in every block that may have
            it; other blocks have their first choice.
    """

    interval: Count
    paths: Count = 4
    calibration_images: Count = 500
    per_choice: bool = False


@HOOKS.register_module()
class PathValidationHook(Hook):
    """Scores random paths of the supernet on the search split, every `interval` iterations.

    The paths are drawn uniformly, once. They are scored as a search scores candidates, with batch
    norm recalibrated, on a copy of the model, so the training is the same with and without it.
    The mean of the config's `score` is logged with its range, and given to the visualizer as
    "paths/<score>"; the scores per choice as "paths/<score>/<choice>". A quiet console gets one
    short line. The first process does it, and the others wait.

    Args:
        settings: those of the section `path_validation`.
    """

    priority = "LOW"

    def __init__(self, **settings: Any) -> None:
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
            calibration, scored, metrics = self._data

            def score_of(path: Sequence[int]) -> float:
                model.backbone.set_path(path)
                recalibrate(model, calibration)
                return score(model, scored, metrics)[runner.cfg.score]

            found = [score_of(path) for path in self._paths(model, runner.seed)]
            per_choice = {}
            if self._settings.per_choice:
                uniform = uniform_paths(model.backbone.space)
                per_choice = {name: score_of(path) for name, path in uniform.items()}
        _show(runner, found, per_choice)

    def _paths(self, model: Any, seed: int) -> list[list[int]]:
        sampler = BudgetSampler(model.backbone.space)
        rng = np.random.default_rng([seed, _STREAM])
        drawn: list[list[int]] = sampler.sample(rng, self._settings.paths).tolist()
        return drawn

    def _load(self, config: Any, model: Any) -> tuple[Any, ...]:
        settings = EvaluatorSettings(calibration_images=self._settings.calibration_images)
        calibration = calibration_loader(
            config.train_dataloader,
            config.search_dataloader,
            settings.calibration_images,
            settings.calibration_batch_size,
            config.randomness["seed"],
        )
        loader = scored_loader(config.search_dataloader, config.randomness["seed"])
        scored = make_batches(lambda: loader, model, settings)
        return (
            make_batches(lambda: calibration, model, settings),
            scored,
            build_metrics(config.search_evaluator, scored.metainfo),
        )


def uniform_paths(space: SearchSpace) -> dict[str, Choices]:
    """For each choice of a space, by its name, the path that has it wherever a block may have it.

    Blocks that may not have it, such as "skip" where the resolution is halved, have their first
    choice.
    """
    return {
        name: tuple(number if number in numbers else numbers[0] for numbers in space.numbers)
        for number, name in enumerate(space.choices)
    }


def _show(runner: Any, found: Sequence[float], per_choice: Mapping[str, float]) -> None:
    """Log the scores, give them to the visualizer, and print a line where the console is quiet."""
    name, mean = runner.cfg.score, float(np.mean(found))
    runner.logger.info(
        f"{len(found)} random paths: {name} {mean:.4f} ({min(found):.4f} to {max(found):.4f})"
    )
    scalars = {f"paths/{name}": mean}
    if per_choice:
        each = (f"{_label(choice)} {value:.4f}" for choice, value in per_choice.items())
        runner.logger.info(f"paths of one choice: {name} {', '.join(each)}")
        scalars |= {f"paths/{name}/{choice}": value for choice, value in per_choice.items()}
    runner.visualizer.add_scalars(scalars, step=runner.iter + 1)
    if logging.getLevelNamesMapping().get(runner.cfg.get("console_level") or "", 0) > logging.INFO:
        print(_short_line(name, found, per_choice), file=sys.stderr, flush=True)


def _short_line(name: str, found: Sequence[float], per_choice: Mapping[str, float]) -> str:
    metric = name.rpartition("/")[2].removeprefix("bbox_")
    mean = float(np.mean(found))
    line = f"paths: {metric} {mean:.3f} ({min(found):.3f} to {max(found):.3f})"
    if not per_choice:
        return line
    each = (f"{_label(choice)} {value:.3f}" for choice, value in per_choice.items())
    return f"{line}; {', '.join(each)}"


def _label(choice: str) -> str:
    """Such as "3x3", "Xception 3x3", "skip"."""
    known = CHOICES[choice]
    return f"{known.note} {known.caption}".strip().replace(_TIMES, "x")
