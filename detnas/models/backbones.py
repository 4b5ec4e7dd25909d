"""The two backbones: `DetNASSupernet`, with every choice of every block, and `DetNASNet`.

The supernet runs one path at a time; a `DetNASNet` is the network of one architecture. Both are
registered with mmdet and in mmengine's root registry, so mmpretrain's configs can use their names
without a prefix, too.
"""

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.registry import MODELS
from torch import nn

from detnas.errors import UserError
from detnas.models.base import Backbone
from detnas.networks.base import check_one_of
from detnas.networks.checkpoints import identity_of
from detnas.networks.subnet import block_builder, resolve_architecture
from search_space.architecture import CHANNEL_SHUFFLES, Architecture
from search_space.blocks import NormFactory, ShuffleBlock, inflate
from search_space.choices import INFLATION_SOURCE, BlockSpec
from search_space.spaces import SearchSpace, parse_space


@MODELS.register_module()
@MMDET_MODELS.register_module()
class DetNASSupernet(Backbone):
    """The supernet: it has every choice of every block, and one path computes and learns.

    A choice off the path is not in the autograd graph. Its gradients stay None, so the optimiser
    changes neither its weights nor its momentum. This relies on `zero_grad(set_to_none=True)`,
    torch's default.

    Args:
        space: the search space, its name, or its JSON's dict.
        channel_shuffle: "even_odd" or "interleave".
        options: the other arguments of `Backbone`.
    """

    def __init__(
        self,
        space: str | dict[str, Any] | SearchSpace = "small",
        channel_shuffle: str = "even_odd",
        **options: Any,
    ) -> None:
        parsed = parse_space(space)
        check_one_of("channel_shuffle", channel_shuffle, CHANNEL_SHUFFLES)

        def build_block(spec: BlockSpec, norm: NormFactory) -> nn.Module:
            numbers = parsed.numbers[spec.index]
            return nn.ModuleDict(
                {
                    str(number): ShuffleBlock(spec, parsed.choices[number], channel_shuffle, norm)
                    for number in numbers
                }
            )

        super().__init__(parsed, channel_shuffle, build_block, **options)
        self._path = parsed.first_choices

    @property
    def path(self) -> tuple[int, ...]:
        """The active choice of each block."""
        return self._path

    def set_path(self, choices: Sequence[int]) -> None:
        """Activate a path; SpaceError if it is not an architecture of this space."""
        self._path = Architecture(self.space, tuple(choices), self.channel_shuffle).choices

    def inflate(self) -> None:
        """Give all choices of every block the function of the first one, `INFLATION_SOURCE`.

        After the path of first choices was trained alone, every path then starts (nearly) as that
        trained network; see `search_space.blocks.inflate`. A path with skips starts as that network
        without the skipped blocks.

        Raises:
            UserError: `INFLATION_SOURCE` is not the first choice of every block.
        """
        if any(self.space.first_choices) or self.space.choices[0] != INFLATION_SOURCE:
            raise UserError(
                f"only {INFLATION_SOURCE} can be inflated: it must be the first choice of every "
                f"block, unlike in space {self.space.name!r}"
            )
        for choices in self.blocks:
            assert isinstance(choices, nn.ModuleDict)
            source, *others = cast("list[ShuffleBlock]", list(choices.values()))
            for target in others:
                inflate(source, target)

    def active_blocks(self) -> Iterator[nn.Module]:
        """The active choice of every block."""
        for choices, chosen in zip(self.blocks, self._path, strict=True):
            yield choices[str(chosen)]  # type: ignore[index]


@MODELS.register_module()
@MMDET_MODELS.register_module()
class DetNASNet(Backbone):
    """The network of one architecture.

    Args:
        architecture: an architecture JSON file, a published name such as
            "detnasnet-300m-coco-fpn", "small:2,1,2,0,..." or the JSON's dict.
        scaling: makes the network wider and deeper: a model or coefficient of EfficientDet, such as
            "d3", or dict(width=1.2, depth=1.4). An architecture that is scaled already takes no
            other.
        channel_shuffle: overrides the architecture's channel shuffle.
        space: overrides the architecture's space by one with the same number of blocks and other
            widths; the paper's 3.8G network ("large-wide") has the choices of the 1.3G one.
        options: the other arguments of `Backbone`.
    """

    def __init__(
        self,
        architecture: str | Path | dict[str, Any] | Architecture,
        channel_shuffle: str | None = None,
        space: str | dict[str, Any] | SearchSpace | None = None,
        scaling: str | float | dict[str, float] | None = None,
        **options: Any,
    ) -> None:
        parsed = resolve_architecture(architecture, channel_shuffle, space, scaling)
        network = parsed.network
        build_block = block_builder(network)
        super().__init__(network.space, network.channel_shuffle, build_block, **options)
        self.architecture = parsed

    def identity(self) -> dict[str, Any]:
        """Like `Backbone.identity`, for a subnet; of a scaled one in its scaled space."""
        return identity_of(self.space, self.channel_shuffle, self.architecture.network.choices)


def argument_names(kind: type[Backbone]) -> list[str]:
    """The arguments that a config may give to one of the two backbones."""
    names = (*inspect.signature(kind).parameters, *inspect.signature(Backbone).parameters)
    return [name for name in dict.fromkeys(names) if name not in ("options", "build_block")]
