"""A backbone under torchvision's FPN, as torchvision's detectors take it."""

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn
from torchvision.ops.feature_pyramid_network import (
    ExtraFPNBlock,
    FeaturePyramidNetwork,
    LastLevelMaxPool,
)

from detnas.errors import UserError
from detnas.networks.subnet import SubnetBackbone


class BackboneWithFPN(nn.Module):
    """Like torchvision's class of this name, for a backbone of `create_backbone`.

    Args:
        backbone: the backbone; the FPN takes all the feature maps that it returns.
        out_channels: channels of every map of the FPN.
        extra_blocks: makes further maps. None adds one by pooling, as Faster R-CNN needs it;
            RetinaNet and FCOS take torchvision's `LastLevelP6P7(out_channels, out_channels)`.
        norm: makes the normalisation layers of the FPN; None has none.

    Attributes:
        body: the backbone.
        fpn: torchvision's FPN.
        out_channels: channels of every map of the FPN.

    Raises:
        UserError: `backbone` is not of `create_backbone`, or `out_channels` is not positive.
    """

    def __init__(
        self,
        backbone: SubnetBackbone,
        out_channels: int = 256,
        extra_blocks: ExtraFPNBlock | None = None,
        norm: Callable[..., nn.Module] | None = None,
    ) -> None:
        if not isinstance(backbone, SubnetBackbone):
            raise UserError(f"backbone is {type(backbone).__name__}: take one of create_backbone")
        if isinstance(out_channels, bool) or not isinstance(out_channels, int) or out_channels < 1:
            raise UserError(f"out_channels is {out_channels!r}; it must be 1 or more")
        super().__init__()
        self.body = backbone
        self.fpn = FeaturePyramidNetwork(
            list(backbone.out_channels), out_channels, extra_blocks or LastLevelMaxPool(), norm
        )
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Images (N, 3, H, W) to maps named "0", "1", ... from fine to coarse, and the extra ones.

        "0" is the first of the backbone's `out_indices`.
        """
        maps = OrderedDict((str(i), feature) for i, feature in enumerate(self.body(x)))
        return self.fpn(maps)
