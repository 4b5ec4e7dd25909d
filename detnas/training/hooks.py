"""Hooks of every training run: metadata of checkpoints, final weights, progress."""

import sys
import time
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from detnas.console import duration, time_left
from detnas.models.checkpoints import own_backbone, unwrapped
from detnas.networks.checkpoint_file import write_checkpoint

FINAL_WEIGHTS = "final.pth"
FEW_STEPS = 0.03
"""The share of all steps before which their pace says nothing of the stages after them."""


@HOOKS.register_module()
class CheckpointHooks(Hook):
    """Writes the backbone's identity into every checkpoint, and `final.pth` after the last step.

    `final.pth` has weights and identity but no optimiser state. Its existence marks the stage as
    finished.
    """

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Adds `meta["detnas"]` (see `Backbone.identity`), the data set's classes, batch sizes."""
        checkpoint["meta"]["world_size"] = runner.world_size
        checkpoint["meta"]["batch_size"] = runner.cfg.train_dataloader.get("batch_size")
        classes = getattr(runner.train_dataloader.dataset, "metainfo", None)
        if classes is not None:  # mmengine has put it in already, except in `final.pth`
            checkpoint["meta"]["dataset_meta"] = classes
        backbone = own_backbone(runner.model)
        if backbone is not None:
            checkpoint["meta"]["detnas"] = backbone.identity()

    def after_train(self, runner: Any) -> None:
        """Writes `final.pth` atomically."""
        if runner.rank != 0:
            return
        model = unwrapped(runner.model)
        checkpoint: dict[str, Any] = {
            "meta": {"iter": runner.iter, "epoch": runner.epoch, "seed": runner.seed},
            "state_dict": {k: v.cpu() for k, v in model.state_dict().items()},
        }
        self.before_save_checkpoint(runner, checkpoint)
        write_checkpoint(checkpoint, Path(runner.work_dir) / FINAL_WEIGHTS)


@HOOKS.register_module()
class ProgressHook(Hook):
    """Prints a short line every few seconds: stage, iteration, loss, time left.

    It is for runs with a quiet console, such as the demo; mmengine's log file has every detail.

    Args:
        stage: the start of each line.
        seconds: time between two lines.
        later: as `Stage.run` takes it.
    """

    priority = "VERY_LOW"

    def __init__(self, stage: str, seconds: float = 10.0, later: float | None = None) -> None:
        self._stage = stage
        self._seconds = seconds
        self._later = later
        self._started = self._printed = 0.0
        self._first_iter = 0

    def before_train(self, runner: Any) -> None:
        """Starts the clock."""
        self._started = self._printed = time.monotonic()
        self._first_iter = runner.iter

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Prints if enough time has passed, and after the last iteration."""
        now, done = time.monotonic(), runner.iter + 1
        is_early = now - self._printed < self._seconds and done != runner.max_iters
        if is_early or runner.rank != 0:
            return
        self._printed = now
        elapsed = now - self._started
        pace = elapsed / (done - self._first_iter)
        few = done - self._first_iter < FEW_STEPS * runner.max_iters  # after a resume
        later = None if few else self._later
        left = time_left(pace * (runner.max_iters - done), later, pace * runner.max_iters)
        loss = float(outputs["loss"].detach()) if outputs and "loss" in outputs else float("nan")
        print(
            f"{self._stage:>10}  iteration {done}/{runner.max_iters}  loss {loss:.3f}  "
            f"{duration(elapsed)}, {left}",
            file=sys.stderr,
            flush=True,
        )
