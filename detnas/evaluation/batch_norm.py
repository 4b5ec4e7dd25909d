"""Batch-norm recalibration: the statistics a path would have had, were it trained alone.

A supernet's running statistics mix all paths; scoring a path with them ranks paths by accident
(DetNAS, section 3.3). So for each path they are computed anew over training images.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from detnas.errors import UserError


class _LastBatchNormReached(Exception):
    """Ends a forward pass from which no further statistics can come."""


class _Statistics:
    """Gathers mean and unbiased variance of every batch norm that runs, weighted by images."""

    def __init__(self) -> None:
        self.images = 0
        self.used: set[_BatchNorm] = set()
        self._weights: dict[_BatchNorm, int] = {}
        self._calls = 0
        self._calls_of_first_batch: int | None = None

    def begin_batch(self, images: int) -> None:
        self.images = images
        if self._calls and self._calls_of_first_batch is None:
            self._calls_of_first_batch = self._calls
        self._calls = 0

    def before(self, module: _BatchNorm, _: Any) -> None:
        if module not in self._weights:
            module.reset_running_stats()
        # The running average with this momentum is the average over all batches so far, each
        # weighted by its images.
        weight = self._weights.get(module, 0) + self.images
        self._weights[module] = weight
        module.momentum = self.images / weight
        self.used.add(module)

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

    Per channel the mean and the unbiased variance, averaged over the batches weighted by their
    number of images; backbone, neck and head alike; a layer that runs several times in a pass
    (a head shared over levels) counts each time. No loss is computed, and from the second batch
    on a pass goes no further than the last batch norm. RoIs, where a RoI head has batch norm,
    come from prediction. The model is left in evaluation mode.

    Args:
        model: an OpenMMLab model, with its `data_preprocessor`; its path already set.
        batches: collated batches of the test pipeline, as a data loader gives them.
    Returns:
        The number of batch-norm layers recomputed.
    Raises:
        ValueError: there is no batch.
    """
    empty = True
    with _gathering(model) as statistics:
        for batch in batches:
            empty = False
            statistics.begin_batch(len(batch["inputs"]))
            data = model.data_preprocessor(batch, False)
            try:
                model(**data, mode="tensor")
            except _LastBatchNormReached:
                continue
            if not statistics.used:
                return 0
    if empty:
        raise UserError("batch-norm recalibration was given no batch: the training split is empty")
    return len(statistics.used)
