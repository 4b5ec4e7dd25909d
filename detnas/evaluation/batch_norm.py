"""Batch-norm recalibration: recomputes a path's running statistics on training images.

The running statistics of a supernet mix all paths, so scores that use them do not rank paths
(DetNAS, section 3.3).
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from detnas.errors import UserError


class _LastBatchNormReached(Exception):
    """Ends a forward pass after its last batch norm."""


class _Statistics:
    """Averages mean and unbiased variance of every batch norm in use, weighted by images."""

    def __init__(self) -> None:
        self._images = 0  # in the current batch
        self.weights: dict[_BatchNorm, int] = {}  # images so far of each batch norm in use
        self._calls = 0
        self._calls_of_first_batch: int | None = None

    def begin_batch(self, images: int) -> None:
        self._images = images
        self._calls_of_first_batch = self._calls_of_first_batch or self._calls or None
        self._calls = 0

    def before(self, module: _BatchNorm, _: Any) -> None:
        if module not in self.weights:
            module.reset_running_stats()
        # With this momentum the running average is the average over all batches so far, weighted
        # by their number of images.
        self.weights[module] = self.weights.get(module, 0) + self._images
        module.momentum = self._images / self.weights[module]

    def after(self, *_: Any) -> None:
        self._calls += 1
        if self._calls == self._calls_of_first_batch:
            raise _LastBatchNormReached


@contextmanager
def _gathering(model: nn.Module) -> Iterator[_Statistics]:
    statistics = _Statistics()
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    handles = []
    model.eval()
    for norm in norms:
        norm.train()
        handles.append(norm.register_forward_pre_hook(statistics.before))
        handles.append(norm.register_forward_hook(statistics.after))
    try:
        yield statistics
    finally:
        for handle in handles:
            handle.remove()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.eval()


@torch.no_grad()
def recalibrate(model: Any, batches: Iterable[Mapping[str, Any]]) -> int:
    """Recompute the running statistics of every batch norm that the model's forward pass uses.

    Statistics are the mean and unbiased variance per channel, averaged over batches weighted by
    their number of images, in backbone, neck and head. A layer that runs several times in a pass (a
    head shared over levels) counts each time. No loss is computed, and from the second batch on the
    pass ends at the last batch norm. If a RoI head has batch norm, its RoIs come from prediction.
    The model is left in evaluation mode.

    Args:
        model: an OpenMMLab model with a `data_preprocessor`, its path already set.
        batches: collated batches of the test pipeline, from a data loader.
    Returns:
        The number of recalibrated layers.
    Raises:
        UserError: there is no batch.
    """
    batch = None
    with _gathering(model) as statistics:
        for batch in batches:
            statistics.begin_batch(len(batch["inputs"]))
            with suppress(_LastBatchNormReached):
                model(**model.data_preprocessor(batch, False), mode="tensor")
            if not statistics.weights:
                return 0
    if batch is None:
        raise UserError("batch-norm recalibration got no batch: the training split is empty")
    return len(statistics.weights)
