"""What whole detectors cost, side by side: multiply-adds, parameters, latency on real images."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device
from torch.utils.flop_counter import FlopCounterMode

from detnas.evaluation.interleaved import interleaved_latencies
from detnas.models.backbones import DetNASNet
from search_space.architecture import macs

ROUNDS, WARM_UP = 15, 3
Tested = tuple[Any, Any]
"""A model and its data set, from `detnas.evaluation.evaluator.load_tested`."""


@torch.no_grad()
def backbone_macs(model: Any, size: tuple[int, int]) -> int:
    """Multiply-adds of a model's backbone for one image.

    Args:
        model: a detector or classifier.
        size: height and width of the image in pixels.
    """
    backbone = model.backbone
    if isinstance(backbone, DetNASNet):
        return macs(backbone.architecture, (3, *size))
    image = torch.zeros(1, 3, *size, device=next(model.parameters()).device)
    with FlopCounterMode(display=False) as counter:
        backbone(image)
    return int(counter.get_total_flops() // 2)


def parameters(model: Any) -> int:
    """How many parameters a module has."""
    return sum(parameter.numel() for parameter in model.parameters())


@torch.no_grad()
def detector_latencies(
    detectors: Sequence[Tested], rounds: int = ROUNDS, warm_up: int = WARM_UP
) -> list[float]:
    """The median time that each detector takes for the first image of its data set, in ms.

    It is the time from the scaled image to its detections. Each round runs all detectors in a
    random order, so that a slow moment of the machine meets all of them. The threads are torch's
    present ones.

    Args:
        detectors: in evaluation mode, on the device here.
        rounds: that are timed.
        warm_up: rounds before them.
    """
    runs = [
        partial(model, **_first_image(model, data), mode="predict") for model, data in detectors
    ]
    device = torch.device(get_device())
    times = interleaved_latencies(runs, device, rounds, warm_up, uncounted=0)
    return [float(each) for each in np.median(times, axis=0)]


def _first_image(model: Any, dataset: Any) -> dict[str, Any]:
    """What a model takes for the first image of a data set."""
    batch = {key: [value] for key, value in dataset[0].items()}
    prepared: dict[str, Any] = model.data_preprocessor(batch, False)
    return prepared
