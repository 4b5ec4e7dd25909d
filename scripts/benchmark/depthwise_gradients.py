"""Time of the gradient of a depthwise convolution's weights: torch's against DetNAS's.

    python scripts/benchmark/depthwise_gradients.py --rounds 11 --json gradients.json

Each line is a layer of a supernet: of the small space in pretraining (batch 16 at 224x224) and
fine-tuning (batch 2 at 800x1344), of the demo in pretraining (batch 64 at 48x48) and fine-tuning
(batch 8 at 160x160). "used" says whether `search_space.operations.DepthwiseConv2d` takes its own
way for that layer, which it does on CPUs with AVX2 alone. Both ways get the same tensors, in
channels_last, in turn. The difference is relative to the largest gradient.
"""

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import torch
from measured import add_common_options, interleaved, rows_of, start, write_json
from torch import Tensor
from torch.nn.functional import conv2d

from search_space.operations import DepthwiseConv2d, depthwise_weight_gradient

# Batch, channels, height and width of the inputs; those of stride 2 have the stage's input size.
_STRIDE_1 = (
    *((16, 32, 56, 56), (16, 80, 28, 28), (16, 160, 14, 14), (16, 320, 7, 7)),
    *((2, 32, 200, 336), (2, 80, 100, 168), (2, 160, 50, 84), (2, 320, 25, 42)),
    *((64, 16, 12, 12), (64, 32, 6, 6), (64, 64, 3, 3), (64, 128, 2, 2)),
    *((8, 16, 40, 40), (8, 32, 20, 20), (8, 64, 10, 10), (8, 128, 5, 5)),
)
_STRIDE_2 = (
    *((16, 64, 56, 56), (16, 160, 28, 28), (16, 320, 14, 14)),
    *((2, 64, 200, 336), (2, 160, 100, 168), (2, 320, 50, 84)),
    *((64, 32, 12, 12), (64, 64, 6, 6), (64, 128, 3, 3)),
    *((8, 32, 40, 40), (8, 64, 20, 20), (8, 128, 10, 10)),
)


@dataclass(frozen=True)
class Layer:
    """A depthwise layer on inputs of `shape`."""

    shape: tuple[int, int, int, int]
    kernel: int
    stride: int

    def __str__(self) -> str:
        return f"{'x'.join(map(str, self.shape))} kernel {self.kernel} stride {self.stride}"


@dataclass
class Pair:
    """Both ways for one layer, and what they gave last."""

    layer: Layer
    x: Tensor
    gradient: Tensor
    weight: Tensor
    results: dict[str, Tensor] = field(default_factory=dict)

    def by_torch(self) -> None:
        """What autograd calls, for the weights alone."""
        padding, channels = self.layer.kernel // 2, self.layer.shape[1]
        self.results["torch"] = torch.ops.aten.convolution_backward(
            *(self.gradient, self.x, self.weight, None, [self.layer.stride] * 2, [padding] * 2),
            *([1, 1], False, [0, 0], channels, [False, True, False]),
        )[1]

    def by_detnas(self) -> None:
        """What `DepthwiseConv2d` does."""
        self.results["detnas"] = depthwise_weight_gradient(
            self.x, self.gradient, self.layer.kernel, self.layer.stride
        )

    def difference(self) -> float:
        """The largest, relative to the largest gradient."""
        right = self.results["torch"]
        return float((right - self.results["detnas"]).abs().max() / right.abs().max())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    add_common_options(parser, rounds=11)
    options = parser.parse_args()
    device = start(options)
    figures = []
    print(f"{'batch x channels x height x width':<42}{'torch, ms':>10}{'DetNAS, ms':>11}  ratio")
    for layer in layers():
        pair = Pair(layer, *tensors(layer, device))
        ways = {"torch": pair.by_torch, "detnas": pair.by_detnas}
        times = interleaved(ways, device, options.rounds, options.clock, quiet=True)
        rows, gap = rows_of(list(ways), times), pair.difference()
        used = is_used(layer, pair.x)
        figures.append({**asdict(layer), "used": used, "gap": gap, "rows": rows})
        ratio = f"{rows[1].ratio:.2f} ({rows[1].ratio_low:.2f} to {rows[1].ratio_high:.2f})"
        print(
            f"{layer!s:<42}{rows[0].median:>10.2f}{rows[1].median:>11.2f}  {ratio}"
            f"  difference {gap:.0e}{'  used' if used else ''}",
            flush=True,
        )
    write_json(options, {"layers": figures})


def layers() -> Iterator[Layer]:
    """All layers, in the order of the table."""
    for stride, shapes in ((1, _STRIDE_1), (2, _STRIDE_2)):
        for shape in shapes:
            for kernel in (3, 5, 7):
                yield Layer(shape, kernel, stride)


def tensors(layer: Layer, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Random input, gradient of the output, and weights."""
    channels = layer.shape[1]
    x = torch.randn(layer.shape, device=device).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels, 1, layer.kernel, layer.kernel, device=device)
    output = conv2d(x, weight, None, layer.stride, layer.kernel // 2, 1, channels)
    return x, torch.randn_like(output), weight


def is_used(layer: Layer, x: Tensor) -> bool:
    """Whether training takes DetNAS's way here."""
    channels, kernel = layer.shape[1], layer.kernel
    conv = DepthwiseConv2d(channels, channels, kernel, layer.stride, kernel // 2, groups=channels)
    return conv.has_own_gradient(x)


if __name__ == "__main__":
    main()
