"""The four block choices as torch modules, the stem, the channel shuffles and their initialisation.

Source: the authors' ShuffleNetV2 blocks (DetNAS, arXiv 1903.10979, section 3.2). The only file of
this package that imports torch; the package itself does not import it.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from search_space.spaces import BlockSpec

NormFactory = Callable[[int], nn.Module]

KERNEL_SIZES = {"shufflenet_3x3": 3, "shufflenet_5x5": 5, "shufflenet_7x7": 7, "xception_3x3": 3}


def even_odd_split(x: Tensor) -> tuple[Tensor, Tensor]:
    """Channel shuffle `even_odd`: (even channels, which pass; odd channels, which are computed)."""
    return x[:, 0::2], x[:, 1::2]


def interleave_split(x: Tensor) -> tuple[Tensor, Tensor]:
    """Channel shuffle `interleave`: interleave the two halves of the channels, then cut in halves.

    Args:
        x: (N, C, H, W), C divisible by four. Returns two (N, C/2, H, W): the one that passes, and
            the one that is computed.
    """
    n, c, h, w = x.shape
    shuffled = x.reshape(n, 2, c // 2, h, w).transpose(1, 2)
    half = c // 4
    passed = shuffled[:, :half].reshape(n, c // 2, h, w)
    computed = shuffled[:, half:].reshape(n, c // 2, h, w)
    return passed, computed


SPLITS: dict[str, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
    "even_odd": even_odd_split,
    "interleave": interleave_split,
}


def _depthwise(channels: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)


def _pointwise(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, bias=False)


class Stem(nn.Sequential):
    """3x3 convolution of stride 2 with bias, batch norm, ReLU: (N, 3, H, W) to half the size."""

    def __init__(self, channels: int, norm: NormFactory = nn.BatchNorm2d) -> None:
        super().__init__(
            nn.Conv2d(3, channels, 3, 2, 1, bias=True), norm(channels), nn.ReLU(inplace=True)
        )


def _shufflenet_branch(
    inputs: int, mid: int, outputs: int, kernel: int, stride: int, norm: NormFactory
) -> nn.Sequential:
    return nn.Sequential(
        _pointwise(inputs, mid),
        norm(mid),
        nn.ReLU(inplace=True),
        _depthwise(mid, kernel, stride),
        norm(mid),
        _pointwise(mid, outputs),
        norm(outputs),
        nn.ReLU(inplace=True),
    )


def _xception_branch(
    inputs: int, mid: int, outputs: int, stride: int, norm: NormFactory
) -> nn.Sequential:
    layers: list[nn.Module] = []
    widths = (inputs, mid, mid, outputs)
    for i in range(3):
        layers += [
            _depthwise(widths[i], 3, stride if i == 0 else 1),
            norm(widths[i]),
            _pointwise(widths[i], widths[i + 1]),
            norm(widths[i + 1]),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class ShuffleBlock(nn.Module):
    """One block choice at one place of the network.

    Stride 1: one half of the channels passes, the other goes through the main branch. Stride 2:
    all channels go through both the main branch and the projection; the output is the
    concatenation (projection or passed half, main).

    Args:
        spec: where the block stands (channels and stride).
        choice: one of `search_space.CHOICES`.
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
        kernel = KERNEL_SIZES[choice]
        mid = spec.out_channels // 2
        downsample = spec.stride == 2
        inputs = spec.in_channels if downsample else mid
        outputs = spec.out_channels - inputs if downsample else mid
        if choice.startswith("xception"):
            self.main = _xception_branch(inputs, mid, outputs, spec.stride, norm)
        else:
            self.main = _shufflenet_branch(inputs, mid, outputs, kernel, spec.stride, norm)
        self.projection = (
            nn.Sequential(
                _depthwise(inputs, kernel, 2),
                norm(inputs),
                _pointwise(inputs, inputs),
                norm(inputs),
                nn.ReLU(inplace=True),
            )
            if downsample
            else None
        )
        self._split = SPLITS[channel_shuffle]

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, ceil(H / stride), ceil(W / stride))."""
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


def inflate(source: ShuffleBlock, target: ShuffleBlock) -> None:
    """Give a block of another choice, at the same place, the function of a 3x3 ShuffleNet block.

    A larger kernel takes the 3x3 one in its middle and zeros around it, and computes exactly the
    same. An Xception block takes the source's three convolutions for its second, fifth and sixth
    and begins the others as the identity; its extra batch norms keep it from being exact.

    Args:
        source: a block of choice "shufflenet_3x3".
        target: a block of any choice with the same channels, stride and shuffle.
    """
    with torch.no_grad():
        if target.projection is not None:
            assert source.projection is not None
            _inflate_layers(list(source.projection), list(target.projection))
        if len(target.main) == len(source.main):
            _inflate_layers(list(source.main), list(target.main))
        else:
            _inflate_xception(source.main, target.main)


def _inflate_layers(source: list[nn.Module], target: list[nn.Module]) -> None:
    for given, taking in zip(source, target, strict=True):
        values = taking.state_dict()
        for key, value in given.state_dict().items():
            if value.shape == values[key].shape:
                values[key].copy_(value)
            else:
                edge = (values[key].shape[-1] - value.shape[-1]) // 2
                values[key].copy_(nn.functional.pad(value, (edge,) * 4))


def _inflate_xception(source: nn.Sequential, target: nn.Sequential) -> None:
    convs = [m for m in target if isinstance(m, nn.Conv2d)]
    norms = [m for m in target if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for i in (0, 2, 3):
        nn.init.dirac_(convs[i].weight, groups=convs[i].groups)
    # Between the two ReLUs a normalised signal would lose its negative half: shift it upwards.
    for norm in (norms[2], norms[3]):
        nn.init.ones_(norm.weight)
        nn.init.constant_(norm.bias, 0.5)
    first, first_norm, _, middle, middle_norm, last, last_norm, _ = source
    taking = [convs[1], norms[1], convs[4], norms[4], convs[5], norms[5]]
    _inflate_layers([first, first_norm, middle, middle_norm, last, last_norm], taking)
