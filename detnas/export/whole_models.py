"""Detectors and backbones from pixels to results, as one module that can be exported.

The input is what image libraries give: RGB from 0 to 255. Colour order and normalisation of the
network are inside.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from detnas.errors import UserError
from detnas.export.dense_decoding import Boxes, DenseDecoder

MAP_NAMES = ("head_scores", "head_boxes", "head_factors")
"""Of the maps of a `WatchedDetector`, by kind."""


class Pixels(nn.Module):
    """From RGB pixels to what a network takes, as mmdet's data preprocessor makes it from BGR.

    Args:
        preprocessor: the model's `data_preprocessor`.
    Raises:
        UserError: it swaps colours in a way that is not known.
    """

    def __init__(self, preprocessor: Any) -> None:
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.is_bgr = not getattr(preprocessor, "_channel_conversion", False)
        mean = getattr(preprocessor, "mean", torch.zeros(3, 1, 1)).float().cpu()
        std = getattr(preprocessor, "std", torch.ones(3, 1, 1)).float().cpu()
        if mean.numel() not in (1, 3):
            raise UserError(f"data_preprocessor.mean has {mean.numel()} numbers: images have 3")
        self.register_buffer("mean", mean.reshape(1, -1, 1, 1))
        self.register_buffer("std", std.reshape(1, -1, 1, 1))
        self.pad_value = float(getattr(preprocessor, "pad_value", 0))

    def forward(self, images: Tensor, sizes: Tensor | None = None) -> Tensor:
        """The same images (N, 3, H, W), in the network's colours; padding is as in training."""
        if self.is_bgr:
            images = images.flip(1)
        images = (images - self.mean) / self.std
        if sizes is None:
            return images
        rows, columns = (
            torch.arange(images.shape[2 + side], device=images.device) < sizes[:, side : side + 1]
            for side in (0, 1)
        )
        return torch.where(
            rows[:, None, :, None] & columns[:, None, None, :], images, self.pad_value
        )


class WholeBackbone(nn.Module):
    """Pixels (N, 3, H, W) to the feature maps of a model's backbone."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.pixels = Pixels(model.data_preprocessor)
        self.network = model.backbone

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The maps, the finest first."""
        return tuple(self.network(self.pixels(images)))


class Network(nn.Module):
    """Backbone, neck and head of a detector, up to the outputs of the head."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.neck = model.neck if model.with_neck else None
        self.head = model.bbox_head

    def forward(self, images: Tensor) -> Any:
        """Class scores, boxes and perhaps score factors of each level."""
        features = self.backbone(images)
        if self.neck is not None:
            features = self.neck(features)
        return self.head(features)


class WholeDetector(nn.Module):
    """Pixels to boxes.

    Args:
        model: a detector that `why_not_exportable` lets pass, in evaluation mode.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.pixels = Pixels(model.data_preprocessor)
        self.network = Network(model)
        self.decoder = DenseDecoder(model.bbox_head)

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (N, k, 4) in pixels of the input, scores (N, k), labels (N, k), the best first.

        Args:
            images: (N, 3, H, W), RGB from 0 to 255, scaled, padded at the right and the bottom.
            sizes: (N, 2), height and width of each image without the padding; larger ones than H
                and W are taken as these.
        """
        sizes = _inside(sizes, images)
        return self.decoder(self.network(self.pixels(images, sizes)), sizes)


class WatchedDetector(nn.Module):
    """A whole detector that also gives what its head finds of every prior, so that it is compared.

    Args:
        detector: it.
    """

    def __init__(self, detector: WholeDetector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """Boxes, scores and labels as `WholeDetector` has them, then the maps of `map_names`."""
        detector = self.detector
        sizes = _inside(sizes, images)
        outputs = detector.network(detector.pixels(images, sizes))
        maps = detector.decoder.probabilities(outputs)
        return (*detector.decoder.boxes(maps, sizes), *(each for kind in maps for each in kind))

    def boxes(self, maps: Sequence[Tensor], images: Tensor, sizes: Tensor) -> Boxes:
        """Boxes, scores and labels of given maps."""
        levels = self._levels
        kinds = [maps[start : start + levels] for start in range(0, len(maps), levels)]
        return self.detector.decoder.boxes(kinds, _inside(sizes, images))

    @property
    def _levels(self) -> int:
        return len(self.detector.network.head.prior_generator.strides)

    def map_names(self, count: int) -> list[str]:
        """Names of so many maps: of each kind one for each level."""
        kinds = count // self._levels
        return [
            f"{MAP_NAMES[kind]}_{level}" for kind in range(kinds) for level in range(self._levels)
        ]


def _inside(sizes: Tensor, images: Tensor) -> Tensor:
    """Sizes of images that are not larger than the input that contains them."""
    height, width = images.shape[2:]
    return torch.stack([sizes[:, 0].clamp(max=height), sizes[:, 1].clamp(max=width)], 1)
