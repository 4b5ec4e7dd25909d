"""Multiply-adds of a whole detector, at the size of its own images."""

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS
from torch.utils.flop_counter import FlopCounterMode

from detnas.config import unwrap_dataset
from detnas.evaluation.evaluator import build_model, quiet_logger, quiet_stdout


@torch.no_grad()
def detector_macs(config: Config, checkpoint: Path | str) -> tuple[int, tuple[int, int]]:
    """Multiply-adds of backbone, neck and heads for the first image of `test_dataloader`.

    Convolutions, matrix products and attention count, as torch's own counter knows them; mmcv's
    operators (RoIAlign, deformable convolution) do not. A two-stage detector's count depends on the
    number of proposals in the image.

    Args:
        config: the detector's.
        checkpoint: its weights.
    Returns:
        The multiply-adds, and height and width of the scaled and padded image in pixels.
    """
    quiet_logger()
    model = build_model(config, checkpoint)
    with quiet_stdout():
        dataset: Any = DATASETS.build(unwrap_dataset(config.test_dataloader["dataset"])[0])
        dataset.full_init()
    batch = {key: [value] for key, value in dataset[0].items()}
    size = model.data_preprocessor(batch, False)["inputs"].shape[-2:]
    with FlopCounterMode(display=False) as counter:
        model.val_step(batch)
    return counter.get_total_flops() // 2, (int(size[0]), int(size[1]))
