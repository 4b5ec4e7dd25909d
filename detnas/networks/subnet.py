"""The network of one architecture as a plain torch module: `SubnetBackbone`, `create_backbone`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from detnas.errors import UserError, user_input
from detnas.networks.base import Network
from detnas.networks.checkpoints import (
    fit_backbone,
    identity_of,
    read_checkpoint,
    weights_inside,
)
from detnas.networks.features import FeatureInfo, features_of
from search_space.architecture import Architecture, parse_architecture, parse_scaling
from search_space.blocks import NormFactory, ShuffleBlock, initialise
from search_space.choices import BlockSpec
from search_space.spaces import SearchSpace, parse_space

_PREFIX = "backbone."  # of its keys in the checkpoint of a detector or classifier
_COUNTER = ".num_batches_tracked"  # torchvision's FrozenBatchNorm2d has none


class SubnetBackbone(Network):
    """The network of one architecture; a call returns a list of feature maps.

    Its state dict has the keys of the `DetNASNet` of the same architecture.

    Args:
        architecture: what is built.
        options: the arguments of `Network` from `out_indices` on.

    Attributes:
        architecture: what is built.
        feature_info: channels and strides of the returned maps, as in timm.
        out_channels: channels of the returned maps.
    """

    def __init__(self, architecture: Architecture, **options: Any) -> None:
        network = architecture.network
        shuffle = network.channel_shuffle
        super().__init__(network.space, shuffle, block_builder(network), **options)
        self.architecture = architecture
        self.feature_info = FeatureInfo(features_of(network.space), self.out_indices)
        initialise(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Images (N, 3, H, W) to the feature maps of `out_indices`, at strides 4, 8, 16, 32."""
        return list(self.feature_maps(x))

    def identity(self) -> dict[str, Any]:
        """What a checkpoint of DetNAS records of it."""
        return identity_of(self.space, self.channel_shuffle, self.architecture.network.choices)


def create_backbone(
    architecture: str | Path | dict[str, Any] | Architecture,
    pretrained: str | Path | None = None,
    *,
    out_indices: Sequence[int] = (0, 1, 2, 3),
    channel_shuffle: str | None = None,
    scaling: str | float | dict[str, float] | None = None,
    frozen_stages: int = -1,
    norm: NormFactory = nn.BatchNorm2d,
    norm_eval: bool = False,
    memory_format: str = "channels_last",
) -> SubnetBackbone:
    """The network of an architecture as a plain `nn.Module`; needs no OpenMMLab.

    Args:
        architecture: an architecture JSON file such as `search/best_architecture.json` of a work
            directory, a published name such as "detnasnet-300m-coco-fpn", "small:2,1,2,0,...", the
            JSON's dict, or an `Architecture`.
        pretrained: a checkpoint of DetNAS: of a network of this architecture (`final.pth` of its
            retraining, sliced weights) or of a supernet, from which the architecture's part is
            taken. Only tensors and plain data are read. None draws the weights as the authors do.
        out_indices: the stages to return, from 0: (0, 1, 2, 3) have strides 4, 8, 16, 32.
        channel_shuffle: "even_odd" or "interleave", in place of the architecture's.
        scaling: makes the network wider and deeper: a model or coefficient of EfficientDet, such as
            "d3", or dict(width=1.2, depth=1.4).
        frozen_stages: freeze the stem and this many stages; 0 freezes the stem, -1 nothing.
        norm: makes the normalisation layer of a number of channels, such as torchvision's
            `FrozenBatchNorm2d` for small batches. Checkpoints fit those with batch norm's tensors.
        norm_eval: keep the running statistics of batch norm fixed during training.
        memory_format: "channels_last" (faster) or "contiguous"; results differ by rounding.

    Raises:
        UserError: an argument is invalid, or the checkpoint is missing, damaged, or of another
            space, channel shuffle or architecture.
    """
    with user_input():
        parsed = resolve_architecture(architecture, channel_shuffle, None, scaling)
    backbone = SubnetBackbone(
        parsed,
        out_indices=out_indices,
        frozen_stages=frozen_stages,
        norm=norm,
        norm_eval=norm_eval,
        memory_format=memory_format,
    )
    if pretrained is not None:
        load_pretrained(backbone, pretrained)
    return backbone


def load_pretrained(backbone: SubnetBackbone, path: str | Path) -> None:
    """Load a checkpoint of a network or of a supernet, with or without neck and head.

    Raises:
        UserError: as `read_checkpoint` and `fit_backbone`.
    """
    checkpoint = read_checkpoint(path)
    given = checkpoint["state_dict"]
    if not any(name.endswith(_COUNTER) for name in backbone.state_dict()):
        given = {name: value for name, value in given.items() if not name.endswith(_COUNTER)}
    is_whole = any(name.removeprefix("module.").startswith(_PREFIX) for name in given)
    prefix = _PREFIX if is_whole else ""
    fitting = fit_backbone(backbone, {**checkpoint, "state_dict": given}, path, prefix)
    backbone.load_state_dict(weights_inside(fitting, prefix))


def resolve_architecture(
    architecture: str | Path | dict[str, Any] | Architecture,
    channel_shuffle: str | None = None,
    space: str | dict[str, Any] | SearchSpace | None = None,
    scaling: Any = None,
) -> Architecture:
    """The architecture that the arguments of a backbone say; for them see `DetNASNet`.

    Raises:
        SpaceError: an argument is invalid.
        UserError: `space` or `scaling` contradicts the architecture.
    """
    parsed = parse_architecture(architecture)
    if space is not None:
        parsed = _in_space(parsed, parse_space(space))
    if channel_shuffle is not None:
        parsed = replace(parsed, channel_shuffle=channel_shuffle)
    if scaling is not None:
        parsed = _scaled(parsed, scaling)
    return parsed


def block_builder(network: Architecture) -> Callable[[BlockSpec, NormFactory], ShuffleBlock]:
    """A function that builds the blocks of an architecture without scaling."""

    def build_block(spec: BlockSpec, norm: NormFactory) -> ShuffleBlock:
        choice = network.choice_names[spec.index]
        return ShuffleBlock(spec, choice, network.channel_shuffle, norm)

    return build_block


def _in_space(architecture: Architecture, space: SearchSpace) -> Architecture:
    """The same choices in another space with the same number of blocks."""
    own = architecture.space
    if own == space:
        return architecture
    if own.num_blocks != space.num_blocks or own.choices != space.choices:
        raise UserError(
            f"the architecture is of space '{own.name}' ({own.num_blocks} blocks), but `space` is "
            f"'{space.name}' ({space.num_blocks} blocks): set it to '{own.name}', or name another "
            "architecture"
        )
    return replace(architecture, space=space)


def _scaled(architecture: Architecture, scaling: Any) -> Architecture:
    wanted, own = parse_scaling(scaling), architecture.scaling
    if own not in (None, wanted):
        raise UserError(
            f"the architecture is scaled already, by width {own.width:g} and depth {own.depth:g}, "
            f"but `scaling` is {scaling!r}: leave one out, or make them equal"
        )
    return replace(architecture, scaling=wanted)
