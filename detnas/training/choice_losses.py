"""What the training losses of random paths say of each choice: is any of them left untrained?"""

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from detnas.files import write_text
from detnas.models.checkpoints import own_backbone
from detnas.search.choice_effects import ChoiceEffect, choice_effects
from detnas.training.paths import PathSamplingHook
from search_space.architecture import Choices

FILE_NAME = "choice_losses.json"
LAST_SHARE = 0.25
"""Of the iterations: the last ones are recorded."""

MIN_PATHS = 20


@HOOKS.register_module()
class ChoiceLossHook(Hook):
    """Compares the losses of the supernet's last paths by the choices that they contain.

    The loss of an iteration is known anyway, so this costs nothing. After training it logs the mean
    loss of each choice in each stage, warns of a choice that seems untrained, and writes
    `choice_losses.json`. The visualizer gets the means as "choice_losses/stage1/<choice>". Not
    counted are iterations of a warm-up, which have one path, and those before a resume. Networks of
    one architecture are left alone.
    """

    priority = "LOW"

    def __init__(self) -> None:
        self._paths: list[Choices] = []
        self._losses: list[torch.Tensor] = []
        self._warmup_iters = 0

    def before_train(self, runner: Any) -> None:
        """Asks the path sampling how long its warm-up lasts."""
        sampling = (hook for hook in runner.hooks if isinstance(hook, PathSamplingHook))
        self._warmup_iters = max((hook.warmup_iters for hook in sampling), default=0)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Records path and loss."""
        backbone: Any = own_backbone(runner.model)
        first = max(self._warmup_iters, (1 - LAST_SHARE) * runner.max_iters)
        if not hasattr(backbone, "path") or runner.iter < first:
            return
        if outputs and "loss" in outputs:
            self._paths.append(backbone.path)
            self._losses.append(outputs["loss"].detach())

    def after_train(self, runner: Any) -> None:
        """Logs and writes the comparison."""
        if runner.rank != 0 or not self._paths:
            return
        if len(self._paths) < MIN_PATHS:
            runner.logger.info(
                f"no {FILE_NAME}: {len(self._paths)} random paths in the last quarter of training "
                f"are too few to compare, {MIN_PATHS} are enough"
            )
            return
        backbone: Any = own_backbone(runner.model)
        losses = torch.stack(self._losses).double().cpu().tolist()
        effects = choice_effects(backbone.space, self._paths, losses, greater_is_better=False)
        mean = sum(losses) / len(losses)
        content = {"paths": len(losses), "mean": mean, "effects": [asdict(e) for e in effects]}
        write_text(Path(runner.work_dir) / FILE_NAME, json.dumps(content, indent=2) + "\n")
        means = {
            f"choice_losses/stage{effect.stage + 1}/{effect.choice}": effect.mean
            for effect in effects
            if effect.mean is not None
        }
        runner.visualizer.add_scalars(means, step=runner.iter)
        runner.logger.info(f"mean loss of the last {len(losses)} paths: {mean:.4f}")
        for effect in effects:
            if effect.difference is not None:
                runner.logger.info(f"    {_named(effect)}: {effect.difference:+.4f}")
        for effect in effects:
            if effect.is_untrained:
                runner.logger.log(
                    logging.WARNING,
                    f"{_named(effect)} seems untrained: paths with it have a mean loss of "
                    f"{effect.mean:.4f}, all paths {mean:.4f}; a search cannot rank it",
                )


def _named(effect: ChoiceEffect) -> str:
    return f"stage {effect.stage + 1}, {effect.choice}"
