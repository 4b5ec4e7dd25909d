"""The block choices as torch modules, the stem, the channel shuffles and their initialisation.

Source: the authors' ShuffleNetV2 blocks (DetNAS, arXiv 1903.10979, section 3.2). The only file of
this package that imports torch; the package itself does not import it.
"""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from search_space.choices import CHOICES, BlockSpec, Conv, stem_conv

NormFactory = Callable[[int], nn.Module]


def even_odd_split(x: Tensor) -> tuple[Tensor, Tensor]:
    """Channel shuffle `even_odd`: (even channels, which pass; odd channels, which are computed).

    Args:
        x: (N, C, H, W), C even. Returns two (N, C/2, H, W).
    """
    if torch.is_grad_enabled() and x.requires_grad:
        return _EvenOddSplit.apply(x)
    return x[:, 0::2], x[:, 1::2]


def interleave_split(x: Tensor) -> tuple[Tensor, Tensor]:
    """Channel shuffle `interleave`: interleave the two halves of the channels, then cut in halves.

    Args:
        x: (N, C, H, W), C divisible by four. Returns two (N, C/2, H, W): the one that passes, and
            the one that is computed.
    """
    if torch.is_grad_enabled() and x.requires_grad:
        return _InterleaveSplit.apply(x)
    return _interleaved(x)


def _interleaved(x: Tensor) -> tuple[Tensor, Tensor]:
    n, c, h, w = x.shape
    shuffled = x.reshape(n, 2, c // 2, h, w).transpose(1, 2)
    half = c // 4
    passed = shuffled[:, :half].reshape(n, c // 2, h, w)
    computed = shuffled[:, half:].reshape(n, c // 2, h, w)
    return passed, computed


def _empty_like(x: Tensor, channels: int) -> Tensor:
    """Uninitialised maps of other channels, in the layout of x."""
    is_last = x.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if is_last else torch.contiguous_format
    n, _, h, w = x.shape
    return torch.empty((n, channels, h, w), dtype=x.dtype, device=x.device, memory_format=layout)


class _EvenOddSplit(torch.autograd.Function):
    """`even_odd_split` in training, with the same values and gradients in fewer copies.

    The computed half is copied once, where the convolution would copy it again for its gradients.
    Autograd's own gradient of two slices fills two maps with zeros and adds them.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        computed = _empty_like(x, x.shape[1] // 2)
        computed.copy_(x[:, 1::2])
        return x[:, 0::2], computed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        passed, computed = gradients
        gradient = _empty_like(computed, 2 * computed.shape[1])
        gradient[:, 0::2] = passed
        gradient[:, 1::2] = computed
        return gradient


class _InterleaveSplit(torch.autograd.Function):
    """`interleave_split` in training, with the same values and gradients in fewer copies.

    It keeps the layout of x, which reshaping loses.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        halves = _empty_like(x, x.shape[1] // 2), _empty_like(x, x.shape[1] // 2)
        _copy_quarters(x, halves, back=False)
        return halves

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = _empty_like(gradients[1], 2 * gradients[1].shape[1])
        _copy_quarters(gradient, gradients, back=True)
        return gradient


def _copy_quarters(x: Tensor, halves: tuple[Tensor, ...], back: bool) -> None:
    """Copy each quarter of the channels of x to its place in the interleaved halves, or back."""
    quarters = x.chunk(4, 1)
    for quarter, part in zip(quarters, _places(*halves), strict=True):
        if back:
            quarter.copy_(part)
        else:
            part.copy_(quarter)


def _places(passed: Tensor, computed: Tensor) -> tuple[Tensor, ...]:
    """Where the quarters of the channels are in the interleaved halves."""
    return passed[:, 0::2], computed[:, 0::2], passed[:, 1::2], computed[:, 1::2]


SPLITS: dict[str, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
    "even_odd": even_odd_split,
    "interleave": interleave_split,
}


def _branch(convs: Iterable[Conv], norm: NormFactory) -> nn.Sequential:
    modules: list[nn.Module] = []
    for conv in convs:
        sizes = (conv.in_channels, conv.out_channels, conv.kernel, conv.stride, conv.kernel // 2)
        modules.append(nn.Conv2d(*sizes, groups=conv.groups, bias=conv.bias))
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
