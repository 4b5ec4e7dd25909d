"""Stops a training whose loss is no longer finite, and says where that began."""

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from detnas.errors import UserError

NAMED_IMAGES = 8


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Raises UserError after a loss that is not finite, before the next checkpoint is saved.

    The message has the iteration, the parts of the loss, and the images of the batch. Earlier
    checkpoints stay. So that a GPU is not waited for in every iteration, losses are read every
    `interval` iterations and before a checkpoint. With a gradient scaler (fp16), which skips steps
    that overflow, training stops after more than `tolerated` such losses in a row.

    Args:
        interval: iterations between two looks at the losses.
        tolerated: losses in a row with a gradient scaler.
    """

    priority = "HIGH"  # before the checkpoint of the same iteration

    def __init__(self, interval: int = 20, tolerated: int = 20) -> None:
        self._interval = interval
        self._tolerated = tolerated
        self._seen: deque[tuple[int, dict[str, torch.Tensor], tuple[str, ...]]] = deque()
        self._in_a_row = 0

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Remembers the losses, and looks at them now and then."""
        parts = {
            name: value.detach()
            for name, value in (outputs or {}).items()
            if isinstance(value, torch.Tensor) and "loss" in name
        }
        if parts:
            self._seen.append((runner.iter, parts, _images(data_batch)))
        if len(self._seen) >= self._interval or runner.iter + 1 == runner.max_iters:
            self._look(runner)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Looks at the losses, so that no weights are saved after a loss that was not finite."""
        self._look(runner)

    def _look(self, runner: Any) -> None:
        seen, self._seen = list(self._seen), deque()
        if not seen:
            return
        sums = torch.stack(
            [torch.stack([p.float().mean() for p in parts.values()]).sum() for _, parts, _ in seen]
        )
        finite = torch.isfinite(sums).tolist()
        scaled = hasattr(runner.optim_wrapper, "loss_scaler")
        for (step, parts, images), is_finite in zip(seen, finite, strict=True):
            self._in_a_row = 0 if is_finite else self._in_a_row + 1
            if self._in_a_row > (self._tolerated if scaled else 0):
                raise UserError(_message(runner, step, parts, images))


def _message(
    runner: Any, step: int, parts: Mapping[str, torch.Tensor], images: tuple[str, ...]
) -> str:
    values = ", ".join(f"{name} {float(part.float().mean()):g}" for name, part in parts.items())
    of = f" on {', '.join(images[:NAMED_IMAGES])}" if images else ""
    more = f" and {len(images) - NAMED_IMAGES} more" if len(images) > NAMED_IMAGES else ""
    last = Path(runner.work_dir) / "last_checkpoint"
    kept = f"; the last checkpoint is {last.read_text().strip()}" if last.is_file() else ""
    return (
        f"the loss of iteration {step + 1} is not finite ({values}){of}{more}: look at the boxes "
        f"of these images, or lower `lr`{kept}"
    )


def _images(batch: Any) -> tuple[str, ...]:
    samples = batch.get("data_samples") if isinstance(batch, Mapping) else None
    paths = (getattr(sample, "img_path", None) for sample in samples or ())
    return tuple(str(path) for path in paths if path is not None)
