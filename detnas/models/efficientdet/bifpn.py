"""BiFPN, and every other cross-scale graph with weighted fusion, as a neck of mmdet.

Tan, Pang, Le: "EfficientDet: Scalable and Efficient Object Detection", CVPR 2020. The graph is data
(`search_space/feature_graphs.py`); FPN, PANet and BiFPN are three of them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from detnas.errors import UserError, user_input
from detnas.models.efficientdet.separable_conv import SeparableConv
from detnas.networks.base import check_one_of
from search_space.feature_graphs import FeatureGraph, Fusion, parse_graph

FUSIONS = get_args(Fusion)
EPSILON = 1e-4
"""Of the fast normalised fusion."""

Size = tuple[int, int]


@MODELS.register_module()
class BiFPN(BaseModule):
    """Repeats a cross-scale graph of weighted nodes over the maps of a backbone.

    Missing levels are made from the coarsest input: a 1x1 convolution and batch norm where channels
    differ, then max-pooling of the level before. Every edge resamples likewise: 1x1 convolution and
    batch norm where channels differ, max-pooling to a smaller size, nearest neighbour to a larger
    one. A node is the weighted sum of its inputs, activation, separable convolution, batch norm.

    Args:
        in_channels: of the backbone's maps, the finest first.
        out_channels: of all outputs.
        num_outs: levels of the outputs, at least as many as there are inputs.
        num_cells: repetitions of the graph.
        graph: a name in `search_space.feature_graphs.GRAPHS`, or the nodes and outputs of another
            as `parse_graph` takes them.
        fusion: of a node's inputs. "fast": sum(relu(w) * x) / (sum(relu(w)) + 1e-4); "softmax":
            sum(softmax(w) * x); "unbounded": sum(w * x); "sum": no weights. Weights start at 1, one
            for each input of each node.
        norm_cfg, act_cfg: of mmcv.

    Raises:
        UserError: a graph that is not one, an unknown fusion, fewer outputs than inputs, no cells
            or channels; in `forward` another number of maps than `in_channels`.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_outs: int = 5,
        num_cells: int = 3,
        graph: str | Mapping[str, Any] | FeatureGraph = "bifpn",
        fusion: str = "fast",
        norm_cfg: Mapping[str, Any] | None = None,
        act_cfg: Mapping[str, Any] | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        check_one_of("fusion", fusion, FUSIONS)
        if not in_channels or num_outs < len(in_channels):
            raise UserError(
                f"BiFPN has {len(in_channels)} inputs and num_outs={num_outs}: it needs at least "
                "one input, and as many outputs or more"
            )
        for name, value in (("num_cells", num_cells), ("out_channels", out_channels)):
            if type(value) is not int or value < 1:
                raise UserError(f"BiFPN has {name}={value!r}: it must be an integer of at least 1")
        with user_input("BiFPN"):
            parsed = parse_graph(graph, num_outs)
        norm = dict(norm_cfg or {"type": "BN", "momentum": 0.01, "eps": 1e-3})
        activation = dict(act_cfg or {"type": "SiLU"})
        self.num_ins = len(in_channels)
        self.extra = nn.ModuleList()
        channels = list(in_channels)
        for _ in range(num_outs - len(in_channels)):
            self.extra.append(_matched(channels[-1], out_channels, norm))
            channels.append(out_channels)
        self.cells = nn.ModuleList()
        for _ in range(num_cells):
            self.cells.append(Cell(parsed, channels, out_channels, fusion, norm, activation))
            channels = [out_channels] * num_outs

    def init_weights(self) -> None:
        """Initialise as the authors: convolutions Glorot uniform, biases 0."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan = module.weight.shape[0] // module.groups + module.weight.shape[1]
                limit = math.sqrt(6.0 / (fan * module.weight[0, 0].numel()))
                nn.init.uniform_(module.weight, -limit, limit)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self._is_init = True

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Maps of one channel count, (N, out_channels, H, W) each, the finest first.

        Args:
            inputs: maps of the backbone, each half as high and wide as the one before.
        """
        if len(inputs) != self.num_ins:
            raise UserError(f"BiFPN has {self.num_ins} inputs, and got {len(inputs)} maps")
        maps = list(inputs)
        for matched in self.extra:
            height, width = maps[-1].shape[-2:]
            maps.append(resize(matched(maps[-1]), ((height + 1) // 2, (width + 1) // 2)))
        for cell in self.cells:
            maps = cell(maps)
        return tuple(maps)


class Cell(nn.Module):
    """One repetition of a graph."""

    def __init__(
        self,
        graph: FeatureGraph,
        in_channels: Sequence[int],
        out_channels: int,
        fusion: str,
        norm_cfg: dict[str, Any],
        act_cfg: dict[str, Any],
    ) -> None:
        super().__init__()
        self.graph = graph
        channels = [*in_channels, *[out_channels] * len(graph.nodes)]
        self.nodes = nn.ModuleList(
            WeightedNode(
                [channels[i] for i in node.inputs], out_channels, fusion, norm_cfg, act_cfg
            )
            for node in graph.nodes
        )

    def forward(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The outputs, the finest first."""
        maps = list(inputs)
        sizes = [_size(each) for each in inputs]
        for node, layer in zip(self.graph.nodes, self.nodes, strict=True):
            maps.append(layer([maps[i] for i in node.inputs], sizes[node.level]))
        return [maps[i] for i in self.graph.outputs]


class WeightedNode(nn.Module):
    """The weighted sum of resampled maps, activation, separable convolution, batch norm."""

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        fusion: str,
        norm_cfg: dict[str, Any],
        act_cfg: dict[str, Any],
    ) -> None:
        super().__init__()
        self.fusion = fusion
        self.matched = nn.ModuleList(_matched(c, out_channels, norm_cfg) for c in in_channels)
        self.weights = None if fusion == "sum" else nn.Parameter(torch.ones(len(in_channels)))
        self.activation = build_activation_layer(act_cfg)
        self.conv = SeparableConv(out_channels, out_channels)
        self.norm = build_norm_layer(norm_cfg, out_channels)[1]

    def forward(self, inputs: Sequence[Tensor], size: Size) -> Tensor:
        """The node's map, (N, out_channels, *size)."""
        maps = [resize(matched(x), size) for matched, x in zip(self.matched, inputs, strict=True)]
        if self.weights is not None:
            factors = fusion_factors(self.weights, self.fusion).to(maps[0].dtype)
            maps = [x * factor for x, factor in zip(maps, factors.unbind(), strict=True)]
        total = sum(maps[1:], maps[0])
        out: Tensor = self.norm(self.conv(self.activation(total)))
        return out


def fusion_factors(weights: Tensor, fusion: str) -> Tensor:
    """What a node multiplies its inputs by, (inputs,)."""
    if fusion == "softmax":
        return weights.softmax(0)
    if fusion == "fast":
        positive = weights.relu()
        return positive / (positive.sum() + EPSILON)
    return weights


def resize(x: Tensor, size: Size) -> Tensor:
    """Max-pool a map to a smaller size, or repeat its pixels to a larger one.

    Pooling has a kernel of stride + 1 and TensorFlow's SAME padding: the odd pixel of padding is on
    the right and at the bottom.
    """
    height, width = _size(x)
    if (height, width) == size:
        return x
    if height < size[0] or width < size[1]:
        return F.interpolate(x, size=size, mode="nearest")
    strides = [-(-have // want) for have, want in zip((height, width), size, strict=True)]
    kernels = [stride + 1 if stride > 1 else 1 for stride in strides]
    before = [
        max((-(-have // stride) - 1) * stride + kernel - have, 0) // 2
        for have, stride, kernel in zip((height, width), strides, kernels, strict=True)
    ]
    return F.max_pool2d(x, kernels, strides, before, ceil_mode=True)


def _size(x: Tensor) -> Size:
    return x.shape[-2], x.shape[-1]  # not as int, which would fix them when a model is exported


def _matched(in_channels: int, out_channels: int, norm_cfg: dict[str, Any]) -> nn.Module:
    """1x1 convolution with bias and batch norm where channels differ."""
    if in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1), build_norm_layer(norm_cfg, out_channels)[1]
    )
