"""The two backbones: `DetNASSupernet`, with every choice of every block, and `DetNASNet`.

The supernet runs one path at a time; a `DetNASNet` is the network of one architecture. They share
stem, outputs, freezing and weight loading. Both are registered with mmdet and in mmengine's root
registry, so mmpretrain's configs can use their names without a prefix, too.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmcv.cnn import build_norm_layer
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from detnas.errors import UserError
from detnas.models.checkpoints import load_backbone_weights
from search_space.architecture import CHANNEL_SHUFFLES, Architecture, parse_architecture
from search_space.blocks import ShuffleBlock, Stem, inflate, initialise
from search_space.choices import INFLATION_SOURCE
from search_space.spaces import SearchSpace, parse_space

MEMORY_FORMATS = {
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}


class _Backbone(BaseModule):
    """The common part of both backbones.

    Args:
        space: the search space, or its name.
        channel_shuffle: "even_odd" or "interleave"; weights trained with one fail with the other.
        out_indices: which of the four stages are returned: (0, 1, 2, 3) for FPN (strides 4, 8,
            16, 32), (1, 2, 3) for RetinaNet, (3,) for classification.
        frozen_stages: freeze the stem and this many stages; 0 freezes the stem, -1 nothing.
        norm_cfg: OpenMMLab's config of the normalisation layers.
        norm_eval: keep the running statistics of batch norm fixed during training.
        memory_format: "channels_last" (faster) or "contiguous"; results differ by rounding.
        init_cfg: None initialises weights as the authors do. dict(type="Pretrained",
            checkpoint=FILE) loads a checkpoint of DetNAS; a `DetNASNet` also loads its slice of a
            supernet's checkpoint. A checkpoint of None equals no init_cfg.
    """

    def __init__(
        self,
        space: SearchSpace,
        channel_shuffle: str,
        blocks: Iterable[nn.Module],
        out_indices: Sequence[int],
        frozen_stages: int,
        norm_cfg: dict[str, Any],
        norm_eval: bool,
        memory_format: str,
        init_cfg: dict[str, Any] | None,
    ) -> None:
        if memory_format not in MEMORY_FORMATS:
            raise UserError(
                f"memory_format is {memory_format!r}; it may be {' or '.join(MEMORY_FORMATS)}"
            )
        stages = len(space.stages)
        if not out_indices or not all(0 <= i < stages for i in out_indices):
            raise UserError(
                f"out_indices is {tuple(out_indices)}; space '{space.name}' has stages 0 to "
                f"{stages - 1}"
            )
        if not -1 <= frozen_stages <= stages:
            raise UserError(f"frozen_stages is {frozen_stages}; it may be -1 to {stages}")
        if init_cfg is not None and (
            init_cfg.get("type") != "Pretrained" or "checkpoint" not in init_cfg
        ):
            raise UserError(
                "init_cfg of a DetNAS backbone may be None or dict(type='Pretrained', "
                f"checkpoint=...), not {init_cfg}"
            )
        super().__init__(init_cfg if init_cfg and init_cfg["checkpoint"] else None)
        self.space = space
        self.channel_shuffle = channel_shuffle
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.stem = Stem(space.stem, partial(_build_norm, norm_cfg))
        self.blocks = nn.ModuleList(blocks)
        self._stage_of_block = tuple(spec.stage for spec in space.block_specs())
        self.memory_format = MEMORY_FORMATS[memory_format]
        self.to(memory_format=self.memory_format)
        self._freeze()

    @property
    def out_channels(self) -> tuple[int, ...]:
        """Channels of each returned feature map."""
        return tuple(self.space.stages[i].channels for i in self.out_indices)

    def active_blocks(self) -> Iterator[nn.Module]:
        """The blocks that the forward pass runs, in order."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images (N, 3, H, W) to the feature maps of `out_indices`, at strides 4, 8, 16, 32."""
        x = self.stem(x.contiguous(memory_format=self.memory_format))
        outputs: dict[int, Tensor] = {}
        for stage, block in zip(self._stage_of_block, self.active_blocks(), strict=True):
            x = block(x)
            outputs[stage] = x
        return tuple(outputs[i] for i in self.out_indices)

    def identity(self) -> dict[str, Any]:
        """What checkpoints record of this backbone: kind, space, channel shuffle, choices."""
        return {
            "kind": "supernet",
            "space": self.space.to_dict(),
            "channel_shuffle": self.channel_shuffle,
            "choices": None,
        }

    def init_weights(self) -> None:
        """Initialise the weights, or load the checkpoint of `init_cfg`."""
        if self.init_cfg is None:
            initialise(self)
        else:
            load_backbone_weights(
                self, Path(self.init_cfg["checkpoint"]), self.init_cfg.get("prefix", "backbone.")
            )
        self._is_init = True

    def _frozen_modules(self) -> Iterator[nn.Module]:
        if self.frozen_stages >= 0:
            yield self.stem
        for stage, block in zip(self._stage_of_block, self.blocks, strict=True):
            if stage < self.frozen_stages:
                yield block

    def _freeze(self) -> None:
        for module in self._frozen_modules():
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> "_Backbone":
        """Like nn.Module.train; frozen stages, and all norms if `norm_eval`, stay in eval mode."""
        super().train(mode)
        if mode:
            for module in self._frozen_modules():
                module.eval()
            if self.norm_eval:
                for module in self.modules():
                    if isinstance(module, nn.modules.batchnorm._BatchNorm):
                        module.eval()
        return self


def _build_norm(norm_cfg: dict[str, Any], channels: int) -> nn.Module:
    return build_norm_layer(dict(norm_cfg), channels)[1]


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
    return Architecture(space, architecture.choices, architecture.channel_shuffle)


@MODELS.register_module()
@MMDET_MODELS.register_module()
class DetNASSupernet(_Backbone):
    """The supernet: it has every choice of every block, and one path computes and learns.

    A choice off the path is not in the autograd graph. Its gradients stay None, so the optimiser
    changes neither its weights nor its momentum. This relies on `zero_grad(set_to_none=True)`,
    torch's default. See `_Backbone` for the arguments.
    """

    def __init__(
        self,
        space: str | dict[str, Any] | SearchSpace = "small",
        channel_shuffle: str = "even_odd",
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        norm_cfg: dict[str, Any] | None = None,
        norm_eval: bool = False,
        memory_format: str = "channels_last",
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        space = parse_space(space)
        if channel_shuffle not in CHANNEL_SHUFFLES:
            raise UserError(
                f"channel_shuffle is {channel_shuffle!r}; it may be {' or '.join(CHANNEL_SHUFFLES)}"
            )
        norm_cfg = norm_cfg or {"type": "BN"}
        norm = partial(_build_norm, norm_cfg)
        blocks = [
            nn.ModuleList(ShuffleBlock(spec, c, channel_shuffle, norm) for c in space.choices)
            for spec in space.block_specs()
        ]
        super().__init__(
            space,
            channel_shuffle,
            blocks,
            out_indices,
            frozen_stages,
            norm_cfg,
            norm_eval,
            memory_format,
            init_cfg,
        )
        self._path = (0,) * space.num_blocks

    @property
    def path(self) -> tuple[int, ...]:
        """The active choice of each block."""
        return self._path

    def set_path(self, choices: Sequence[int]) -> None:
        """Activate a path; SpaceError if it is not an architecture of this space."""
        self._path = Architecture(self.space, tuple(choices), self.channel_shuffle).choices

    def inflate(self, choice: int = 0) -> None:
        """Give all choices of every block the function of one, `INFLATION_SOURCE`.

        After one path was trained alone, every path then starts (nearly) as that trained network;
        see `search_space.blocks.inflate`.
        """
        if self.space.choices[choice] != INFLATION_SOURCE:
            raise UserError(
                f"only {INFLATION_SOURCE} can be inflated, not {self.space.choices[choice]}"
            )
        for choices in self.blocks:
            assert isinstance(choices, nn.ModuleList)
            source: Any = choices[choice]
            target: Any
            for target in choices:
                if target is not source:
                    inflate(source, target)

    def active_blocks(self) -> Iterator[nn.Module]:
        """The active choice of every block."""
        for choices, chosen in zip(self.blocks, self._path, strict=True):
            yield choices[chosen]  # type: ignore[index]


@MODELS.register_module()
@MMDET_MODELS.register_module()
class DetNASNet(_Backbone):
    """The network of one architecture.

    Args:
        architecture: an architecture JSON file, a published name such as
            "detnasnet-300m-coco-fpn", "small:2,1,2,0,..." or the JSON's dict.
        channel_shuffle: overrides the architecture's channel shuffle.
        space: overrides the architecture's space by one with the same number of blocks and other
            widths; the paper's 3.8G network ("large-wide") has the choices of the 1.3G one.

    See `_Backbone` for the others.
    """

    def __init__(
        self,
        architecture: str | Path | dict[str, Any] | Architecture,
        channel_shuffle: str | None = None,
        space: str | dict[str, Any] | SearchSpace | None = None,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        norm_cfg: dict[str, Any] | None = None,
        norm_eval: bool = False,
        memory_format: str = "channels_last",
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        parsed = parse_architecture(architecture)
        if space is not None:
            parsed = _in_space(parsed, parse_space(space))
        if channel_shuffle is not None:
            parsed = Architecture(parsed.space, parsed.choices, channel_shuffle)
        norm_cfg = norm_cfg or {"type": "BN"}
        norm = partial(_build_norm, norm_cfg)
        blocks = [
            ShuffleBlock(spec, name, parsed.channel_shuffle, norm)
            for spec, name in zip(parsed.space.block_specs(), parsed.choice_names, strict=True)
        ]
        super().__init__(
            parsed.space,
            parsed.channel_shuffle,
            blocks,
            out_indices,
            frozen_stages,
            norm_cfg,
            norm_eval,
            memory_format,
            init_cfg,
        )
        self.architecture = parsed

    def active_blocks(self) -> Iterator[nn.Module]:
        """All blocks."""
        return iter(self.blocks)

    def identity(self) -> dict[str, Any]:
        """Like `_Backbone.identity`, for a subnet."""
        return super().identity() | {"kind": "subnet", "choices": list(self.architecture.choices)}
