"""Depthwise separable convolution as EfficientDet has it: nothing between its two layers."""

from torch import Tensor, nn


class SeparableConv(nn.Module):
    """3x3 depthwise without bias, then 1x1 with bias: (N, in, H, W) to (N, out, H, W).

    mmcv's `DepthwiseSeparableConvModule` has one key for the bias of both layers. The bias is there
    even where batch norm follows, as in the authors' models and the published weights.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False
        )
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The convolved map."""
        out: Tensor = self.pointwise(self.depthwise(x))
        return out
