"""Trains on smaller images until some iteration: progressive resizing, of classification alone."""

from typing import Annotated, Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from msgspec import Meta, Struct
from torch import Tensor


class SmallImages(Struct, frozen=True, forbid_unknown_fields=True):
    """The section `small_images` of a config.

    Attributes:
        until: how many iterations, from the start, have small images.
        share: of the height and of the width that is kept in them.
    """

    until: Annotated[int, Meta(ge=1)]
    share: Annotated[float, Meta(gt=0, lt=1)] = 0.5


@HOOKS.register_module()
class SmallImagesHook(Hook):
    """Resizes the images of a batch of classification until an iteration.

    They are resized after augmentation, bilinearly with smoothing. The size is a function of the
    iteration alone, so a resumed run equals an uninterrupted one. Labels stay; boxes would have to
    be scaled as well, so it is refused for detectors.

    Args:
        settings: those of the section `small_images`.
    """

    priority = "HIGHEST"  # before the path hook, which may compute gradients

    def __init__(self, **settings: Any) -> None:
        self._settings = SmallImages(**settings)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Resizes the batch's `inputs`: (N, C, H, W), or a list of (C, H, W)."""
        if runner.iter >= self._settings.until:
            return
        share, inputs = self._settings.share, data_batch["inputs"]
        if isinstance(inputs, Tensor):
            data_batch["inputs"] = _resized(inputs, share)
        else:
            data_batch["inputs"] = [_resized(image[None], share)[0] for image in inputs]


def _resized(images: Tensor, share: float) -> Tensor:
    """(N, C, H, W) to the share of its height and width, rounded, at least 1; same dtype."""
    size = [max(1, round(side * share)) for side in images.shape[-2:]]
    return torch.nn.functional.interpolate(images, size, mode="bilinear", antialias=True)
