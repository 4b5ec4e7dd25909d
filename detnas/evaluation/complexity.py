"""Multiply-adds of a whole detector, at the size of its own images."""

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


@torch.no_grad()
def detector_macs(model: Any, dataset: Any) -> tuple[int, tuple[int, int]]:
    """Multiply-adds of backbone, neck and heads for the first image of a data set.

    Convolutions, matrix products and attention count, as torch's own counter knows them; mmcv's
    operators (RoIAlign, deformable convolution) do not. A two-stage detector's count depends on the
    number of proposals in the image.

    Args:
        model, dataset: from `detnas.evaluation.evaluator.load_tested`.
    Returns:
        The multiply-adds, and height and width of the scaled and padded image in pixels.
    """
    batch = {key: [value] for key, value in dataset[0].items()}
    size = model.data_preprocessor(batch, False)["inputs"].shape[-2:]
    with FlopCounterMode(display=False) as counter:
        model.val_step(batch)
    return counter.get_total_flops() // 2, (int(size[0]), int(size[1]))
