"""The block choices as torch modules, the stem and their initialisation.

Source: the authors' ShuffleNetV2 blocks (DetNAS, arXiv 1903.10979, section 3.2). This file and
`operations.py` are the only ones of this package that import torch; the package itself does not.
"""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from search_space.choices import CHOICES, BlockSpec, Conv, stem_conv
from search_space.operations import SPLITS, DepthwiseConv2d

NormFactory = Callable[[int], nn.Module]


def _branch(convs: Iterable[Conv], norm: NormFactory) -> nn.Sequential:
    modules: list[nn.Module] = []
    for conv in convs:
        sizes = (conv.in_channels, conv.out_channels, conv.kernel, conv.stride, conv.kernel // 2)
        is_depthwise = conv.groups == conv.in_channels == conv.out_channels
        kind = DepthwiseConv2d if is_depthwise else nn.Conv2d
        modules.append(kind(*sizes, groups=conv.groups, bias=conv.bias))
        modules.append(norm(conv.out_channels))
        if conv.relu:
            modules.append(nn.ReLU(inplace=True))
    return nn.Sequential(*modules)


class Stem(nn.Sequential):
    """3x3 convolution of stride 2 with bias, batch norm, ReLU: (N, 3, H, W) to half the size."""

    def __init__(self, channels: int, norm: NormFactory = nn.BatchNorm2d) -> None:
        super().__init__(*_branch([stem_conv(channels)], norm))


class ShuffleBlock(nn.Module):
    """One block choice at one place of the network.

    Stride 1: one half of the channels passes, the other goes through the main branch. Stride 2:
    all channels go through both the main branch and the projection; the output is the
    concatenation (projection or passed half, main). A choice without layers returns its input.

    Args:
        spec: where the block stands (channels and stride).
        choice: a name in `search_space.choices.CHOICES`.
        channel_shuffle: "even_odd" or "interleave"; the weights of one do not fit the other.
        norm: makes the normalisation layer of a number of channels.
    """

    def __init__(
        self,
        spec: BlockSpec,
        choice: str,
        channel_shuffle: str = "even_odd",
        norm: NormFactory = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.choice = CHOICES[choice]
        main, projection = self.choice.convs(spec)
        self.main = _branch(main, norm)
        self.projection = _branch(projection, norm) if projection else None
        self._split = SPLITS[channel_shuffle]

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, ceil(H / stride), ceil(W / stride))."""
        if self.choice.is_empty:
            return x
        if self.projection is not None:
            return torch.cat((self.projection(x), self.main(x)), 1)
        passed, computed = self._split(x)
        return torch.cat((passed, self.main(computed)), 1)


def initialise(module: nn.Module) -> None:
    """Draw the weights of stem and blocks as the authors do, from torch's global generator.

    Convolutions N(0, 1 / input channels of the filter), the stem N(0, 0.01); batch norm weight 1
    and bias 1e-4.
    """
    for m in module.modules():
        if isinstance(m, nn.Conv2d):
            std = 0.01 if m.in_channels == 3 and m.groups == 1 else 1.0 / m.weight.shape[1]
            nn.init.normal_(m.weight, 0.0, std)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.modules.batchnorm._BatchNorm):
            nn.init.ones_(m.weight)
            nn.init.constant_(m.bias, 1e-4)
            m.reset_running_stats()


@torch.no_grad()
def inflate(source: ShuffleBlock, target: ShuffleBlock) -> None:
    """Give a block of another choice, at the same place, the function of a trained 3x3 block.

    A larger kernel takes the 3x3 one in its middle and zeros around it, and computes exactly the
    same. A choice with other layers says itself where each takes its weights from
    (`Choice.inflation`); the batch norms it has in addition keep it from being exact. If it halves
    the resolution before the source does, it loses more: its strided layer averages neighbours, and
    the source's strided kernel is resampled to the halved resolution. A choice without layers takes
    nothing.

    Args:
        source: a block of choice `search_space.choices.INFLATION_SOURCE`.
        target: a block of any choice with the same channels, stride and shuffle.
    """
    for given, layer in zip(_layers(source.projection), _layers(target.projection), strict=True):
        _copy_centred(given, layer)
    trained, layers = _layers(source.main), _layers(target.main)
    origins = range(len(trained)) if target.choice.inflation is None else target.choice.inflation
    for origin, (conv, norm) in zip(origins, layers, strict=True):
        if isinstance(origin, int):
            _copy_centred(trained[origin], (conv, norm))
            if conv.stride < trained[origin][0].stride:
                conv.weight.copy_(_halved(conv.weight))
            continue
        nn.init.dirac_(conv.weight, groups=conv.groups)
        if conv.stride[0] == 2:
            conv.weight.copy_(_smoothed(conv.weight))
        if origin == "raised identity":
            nn.init.ones_(norm.weight)
            nn.init.constant_(norm.bias, 0.5)


_Pair = tuple[nn.Conv2d, Any]


def _layers(branch: nn.Sequential | None) -> list[_Pair]:
    """The convolutions of a branch, each with the batch norm after it."""
    return [(conv, norm) for conv, norm in pairwise(branch or ()) if isinstance(conv, nn.Conv2d)]


def _copy_centred(source: _Pair, target: _Pair) -> None:
    """Copy a layer's tensors; a smaller kernel goes into the middle, with zeros around it."""
    for given, taking in zip(source, target, strict=True):
        values = taking.state_dict()
        for key, value in given.state_dict().items():
            edge = (values[key].shape[-1] - value.shape[-1]) // 2 if value.dim() == 4 else 0
            values[key].copy_(nn.functional.pad(value, (edge,) * 4) if edge else value)


def _smoothed(kernel: Tensor) -> Tensor:
    """The kernel, each weight spread over its neighbours, 1/4, 1/2, 1/4 in both directions."""
    weights = kernel.new_tensor([0.25, 0.5, 0.25])
    planes = kernel.flatten(0, 1)[:, None]
    smooth = nn.functional.conv2d(planes, torch.outer(weights, weights)[None, None], padding=1)
    return smooth.view_as(kernel)


def _halved(kernel: Tensor) -> Tensor:
    """The kernel for a signal that keeps every second value; the others are interpolated."""
    place = torch.arange(kernel.shape[-1], device=kernel.device) - kernel.shape[-1] // 2
    share = (1 - (2 * place[:, None] - place).abs() / 2).clamp(min=0)
    return share @ kernel @ share.T
