"""The block choices as data: the layers of each, and how reports show it.

Costs sum these layers, `search_space.blocks` builds torch modules from them, and reports take label
and colour from here. A new choice is one more entry in `CHOICES`; a space uses it by its name.

Source: the authors' ShuffleNetV2 and Xception blocks (DetNAS, arXiv 1903.10979, section 3.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Width = Literal["inputs", "mid", "outputs"]
Origin = int | Literal["identity", "raised identity"]


@dataclass(frozen=True)
class BlockSpec:
    """The place of one block in a space, whichever choice fills it.

    `index` counts over all blocks and `stage` over the stages, both from 0. `stride` is 2 for
    the first block of a stage and 1 otherwise; `input_stride` is the total downsampling of the
    block's input relative to the image.
    """

    index: int
    stage: int
    in_channels: int
    out_channels: int
    stride: int
    input_stride: int


class Layer(NamedTuple):
    """A square convolution without bias, batch norm after it, and a ReLU where `relu`.

    Padding of `kernel // 2` keeps the resolution. `width` names the output channels: as many as
    enter the branch ("inputs"), half of the block's output ("mid") or as many as the branch must
    return ("outputs"). None is a depthwise convolution, which keeps its channels. A layer with
    `strided` takes the stride of its block.
    """

    kernel: int
    width: Width | None
    relu: bool = False
    strided: bool = False


class Conv(NamedTuple):
    """A layer with the channels, stride and resolution that it has at one place of a network.

    `output_stride` is the total downsampling of its output relative to the image.
    """

    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    output_stride: int
    groups: int = 1
    bias: bool = False
    relu: bool = False

    @property
    def weights(self) -> int:
        """Numbers in the kernel."""
        return self.in_channels // self.groups * self.out_channels * self.kernel**2


@dataclass(frozen=True)
class Choice:
    """What can stand at the place of a block.

    Attributes:
        name: used in configs and JSON, such as "shufflenet_3x3".
        label: used in legends, such as "ShuffleNet 3x3".
        caption: the text in its box of a picture, such as "3x3".
        mark: one character, used in the tables of a report.
        colour: "#rrggbb", the same in all pictures and tables.
        main: the layers of the branch that computes.
        projection: the layers of the second branch, used in blocks of stride 2 only.
        note: a small second line in that box.
        inflation: where each layer of `main` takes its weights from when a trained block of
            `INFLATION_SOURCE` is inflated into this choice. A number is the layer of the source;
            "identity" passes the signal on, averaged over neighbours where the layer halves the
            resolution; "raised identity" does too, and adds 0.5 after the batch norm, so that a
            ReLU behind it keeps most of the signal. None is for the same sequence of layers as
            the source's, other kernel sizes aside.
        halves: whether it can be chosen where a block halves the resolution.
    """

    name: str
    label: str
    caption: str
    mark: str
    colour: str
    main: tuple[Layer, ...]
    projection: tuple[Layer, ...]
    note: str = ""
    inflation: tuple[Origin, ...] | None = None
    halves: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether it has no layers, so that the network has one block less."""
        return not self.main

    def convs(self, spec: BlockSpec) -> tuple[tuple[Conv, ...], tuple[Conv, ...]]:
        """The convolutions of main branch and projection at a place.

        At stride 1 half of the channels enter the main branch and there is no projection; at
        stride 2 all of them enter both.
        """
        strided = spec.stride == 2
        inputs = spec.in_channels if strided else spec.in_channels // 2
        widths: dict[Width, int] = {
            "inputs": inputs,
            "mid": spec.out_channels // 2,
            "outputs": spec.out_channels - inputs,
        }
        projection = self.projection if strided else ()
        return _place(self.main, widths, spec), _place(projection, widths, spec)


def _place(layers: Sequence[Layer], widths: dict[Width, int], spec: BlockSpec) -> tuple[Conv, ...]:
    convs = []
    channels, output_stride = widths["inputs"], spec.input_stride
    for layer in layers:
        stride = spec.stride if layer.strided else 1
        outputs, groups = (widths[layer.width], 1) if layer.width else (channels, channels)
        output_stride *= stride
        convs.append(
            Conv(channels, outputs, layer.kernel, stride, output_stride, groups, relu=layer.relu)
        )
        channels = outputs
    return tuple(convs)


def stem_conv(channels: int, image_channels: int = 3) -> Conv:
    """The network's first layer, of stride 2, with `channels` output channels."""
    return Conv(image_channels, channels, 3, stride=2, output_stride=2, bias=True, relu=True)


def _projection(kernel: int) -> tuple[Layer, ...]:
    return (Layer(kernel, None, strided=True), Layer(1, "inputs", relu=True))


def _size(kernel: int) -> str:
    return f"{kernel}\N{MULTIPLICATION SIGN}{kernel}"


def shufflenet(kernel: int, colour: str) -> Choice:
    """A ShuffleNetV2 block with a depthwise convolution of `kernel` x `kernel`."""
    return Choice(
        name=f"shufflenet_{kernel}x{kernel}",
        label=f"ShuffleNet {_size(kernel)}",
        caption=_size(kernel),
        mark=str(kernel),
        colour=colour,
        main=(
            Layer(1, "mid", relu=True),
            Layer(kernel, None, strided=True),
            Layer(1, "outputs", relu=True),
        ),
        projection=_projection(kernel),
    )


XCEPTION = Choice(
    name="xception_3x3",
    label=f"Xception {_size(3)}",
    caption=_size(3),
    mark="X",
    colour="#f0a24b",
    main=(
        Layer(3, None, strided=True),
        Layer(1, "mid", relu=True),
        Layer(3, None),
        Layer(1, "mid", relu=True),
        Layer(3, None),
        Layer(1, "outputs", relu=True),
    ),
    projection=_projection(3),
    note="Xception",
    inflation=("identity", 0, "raised identity", "raised identity", 1, 2),
)

SKIP = Choice(
    name="skip",
    label="Skip (no block)",
    caption="skip",
    mark="\N{EN DASH}",
    colour="#f1efe9",
    main=(),
    projection=(),
    inflation=(),
    halves=False,
)
"""No block: the features pass unchanged, and the network has one block less."""

INFLATION_SOURCE = "shufflenet_3x3"
"""The choice that can be inflated into all others that have layers."""

# The ShuffleNet blocks are one blue, darker with a larger kernel, and Xception is orange: they can
# be told apart in grey print and with every colour blindness.
CHOICES: dict[str, Choice] = {
    choice.name: choice
    for choice in (
        shufflenet(3, colour="#c3e0f2"),
        shufflenet(5, colour="#67aedb"),
        shufflenet(7, colour="#185a8d"),
        XCEPTION,
        SKIP,
    )
}
"""Every choice by its name."""
