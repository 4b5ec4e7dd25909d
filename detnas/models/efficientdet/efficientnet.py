"""mmdet's EfficientNet, initialised as its authors do where it begins from nothing.

Tan, Le: "EfficientNet", ICML 2019. mmdet draws depthwise kernels as if all channels entered every
output: they are smaller by the root of the number of channels, of which batch norm's eps of 1e-3
leaves a trace.
"""

from collections.abc import Mapping
from typing import Any

from mmdet.models.backbones import EfficientNet
from mmengine.registry import MODELS
from torch import nn


@MODELS.register_module()
class VarianceScaledEfficientNet(EfficientNet):  # type: ignore[misc]
    """mmdet's EfficientNet whose convolutions begin as N(0, 2 / fan_out), biases 0.

    The fan-out of a convolution is its kernel's area times the outputs of one of its groups.

    Args:
        arch: "b0" to "b7".
        init_cfg: None initialises so. Otherwise as mmdet's; of dict(type="Pretrained",
            checkpoint=None) it is as None.
        options: as mmdet's.
    """

    def __init__(self, arch: str = "b0", *, init_cfg: Any = None, **options: Any) -> None:
        is_empty = isinstance(init_cfg, Mapping) and init_cfg.get("checkpoint", "") is None
        super().__init__(arch, init_cfg=None if is_empty else init_cfg, **options)

    def init_weights(self) -> None:
        """Draw the weights from torch's global generator, or as `init_cfg` says."""
        if self.init_cfg is not None:
            super().init_weights()
            return
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.weight[0, 0].numel() * module.out_channels // module.groups
                nn.init.normal_(module.weight, 0.0, (2.0 / fan_out) ** 0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self._is_init = True
