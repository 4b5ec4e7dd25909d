"""EfficientDet's head and anchors for mmdet: shared separable convolutions, batch norm per level.

Tan, Pang, Le: "EfficientDet: Scalable and Efficient Object Detection", CVPR 2020. Losses, assigner
and box coder are mmdet's, as `configs/_base_/models/efficientdet.py` sets them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.task_modules.prior_generators import AnchorGenerator
from mmengine.model import bias_init_with_prob
from mmengine.registry import MODELS, TASK_UTILS
from torch import Tensor, nn

from detnas.errors import UserError
from detnas.models.efficientdet.separable_conv import SeparableConv

PRIOR = 0.01
"""Probability of every class with which training starts."""


@MODELS.register_module()
class EfficientDetHead(AnchorHead):
    """Class and box towers whose convolutions all levels share and whose batch norms none does.

    A tower is `stacked_convs` times separable convolution, batch norm of the level, activation;
    then a separable convolution predicts. The outputs are those of mmdet's dense heads: for each
    level (N, anchors * classes, H, W) and (N, anchors * 4, H, W).

    Args:
        num_classes, in_channels: as in mmdet; all layers have `in_channels`.
        num_ins: levels.
        stacked_convs: layers of a tower before the one that predicts.
        norm_cfg, act_cfg: of mmcv.
        **options: of mmdet's `AnchorHead`. Anchors and losses must be given, for its defaults are
            other ones than EfficientDet's: configs/_base_/models/efficientdet.py has those.

    Raises:
        UserError: `num_ins` or `stacked_convs` below 1, no anchors or losses.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_ins: int = 5,
        stacked_convs: int = 3,
        norm_cfg: Mapping[str, Any] | None = None,
        act_cfg: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        for name, value in (("num_ins", num_ins), ("stacked_convs", stacked_convs)):
            if type(value) is not int or value < 1:
                raise UserError(
                    f"EfficientDetHead has {name}={value!r}: it must be an integer of at least 1"
                )
        for name in ("anchor_generator", "loss_cls", "loss_bbox"):
            if name not in options:
                raise UserError(
                    f"EfficientDetHead has no {name}: configs/_base_/models/efficientdet.py has "
                    "EfficientDet's"
                )
        self.num_ins = num_ins
        self.stacked_convs = stacked_convs
        self.norm_cfg = dict(norm_cfg or {"type": "BN", "momentum": 0.01, "eps": 1e-3})
        self.act_cfg = dict(act_cfg or {"type": "SiLU"})
        super().__init__(
            num_classes, in_channels, feat_channels=in_channels, init_cfg=None, **options
        )

    def _init_layers(self) -> None:
        anchors = self.num_base_priors
        self.classes = self._tower(anchors * self.cls_out_channels)
        self.boxes = self._tower(anchors * self.bbox_coder.encode_size)

    def _tower(self, outputs: int) -> "Tower":
        return Tower(
            self.in_channels,
            outputs,
            self.num_ins,
            self.stacked_convs,
            self.norm_cfg,
            self.act_cfg,
        )

    def init_weights(self) -> None:
        """Initialise as the authors: variance scaling, biases 0, every class at 0.01."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_in = module.weight.shape[1] * module.weight[0, 0].numel()
                nn.init.normal_(module.weight, std=math.sqrt(1.0 / fan_in))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        bias = self.classes.predict.pointwise.bias
        assert bias is not None
        nn.init.constant_(bias, bias_init_with_prob(PRIOR))
        self._is_init = True

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Class logits and box deltas of every level."""
        return self.classes(feats), self.boxes(feats)


class Tower(nn.Module):
    """Convolutions shared over levels, with batch norms of their own for each."""

    def __init__(
        self,
        channels: int,
        outputs: int,
        levels: int,
        repeats: int,
        norm_cfg: dict[str, Any],
        act_cfg: dict[str, Any],
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(SeparableConv(channels, channels) for _ in range(repeats))
        self.norms = nn.ModuleList(
            nn.ModuleList(build_norm_layer(norm_cfg, channels)[1] for _ in range(levels))
            for _ in range(repeats)
        )
        self.activation = build_activation_layer(act_cfg)
        self.predict = SeparableConv(channels, outputs)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The predictions of every level."""
        outputs = []
        for level, x in enumerate(maps):
            for conv, norms in zip(self.convs, self.norms, strict=True):
                assert isinstance(norms, nn.ModuleList)
                x = self.activation(norms[level](conv(x)))
            outputs.append(self.predict(x))
        return outputs


@TASK_UTILS.register_module()
class AspectAnchorGenerator(AnchorGenerator):
    """mmdet's anchors with sides given as multiples, scale by scale as EfficientDet orders them.

    mmdet's ratio of 2 gives sides of 0.707 and 1.414 strides, EfficientDet's aspect (1.4, 0.7) has
    1.4 and 0.7.

    Args:
        aspects: (width, height) of the anchors in multiples of the scale.
        **options: of mmdet's `AnchorGenerator`, without `ratios` and `scale_major`.
    """

    def __init__(self, aspects: Sequence[tuple[float, float]], **options: Any) -> None:
        self.aspects = tuple((float(width), float(height)) for width, height in aspects)
        ratios = [height / width for width, height in self.aspects]
        super().__init__(ratios=ratios, scale_major=False, **options)

    def gen_single_level_base_anchors(
        self,
        base_size: float,
        scales: Tensor,
        ratios: Tensor,
        center: tuple[float, float] | None = None,
    ) -> Tensor:
        """Anchors of one level, (scales * aspects, 4) as x1, y1, x2, y2 in pixels."""
        x, y = center or (self.center_offset * base_size,) * 2
        half = torch.tensor(self.aspects) * base_size / 2
        halves = (scales[:, None, None] * half).reshape(-1, 2)
        middle = torch.tensor([x, y])
        return torch.cat([middle - halves, middle + halves], dim=-1)
