"""Necks of DetNAS: the last convolution before the classifier, for classification only."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class LastConvPool(BaseModule):
    """1x1 convolution with bias, batch norm, ReLU, dropout, global average pooling.

    These layers are between the last block and the linear classifier of DetNAS's ImageNet
    networks. Detectors omit them.

    Args:
        in_channels: channels of the last stage.
        out_channels: output channels of the convolution (`SearchSpace.last_channels`).
        dropout: probability of zeroing an element before pooling.
    """

    def __init__(self, in_channels: int, out_channels: int = 1024, dropout: float = 0.2) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=True)
        self.norm = nn.BatchNorm2d(out_channels)
        self.pool = nn.Sequential(
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )

    def init_weights(self) -> None:
        """Initialise as the authors: weights N(0, 1 / in_channels), norm weight 1 and bias 1e-4."""
        nn.init.normal_(self.conv.weight, 0.0, 1.0 / self.conv.in_channels)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)
        nn.init.ones_(self.norm.weight)
        nn.init.constant_(self.norm.bias, 1e-4)
        self._is_init = True

    def forward(self, x: Tensor | Sequence[Tensor]) -> tuple[Tensor]:
        """The last feature map, (N, in_channels, H, W), to a tuple of one (N, out_channels)."""
        features = x if isinstance(x, Tensor) else x[-1]
        return (self.pool(self.norm(self.conv(features))),)
