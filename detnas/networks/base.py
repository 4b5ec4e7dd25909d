"""What every backbone of DetNAS shares: stem, blocks, returned stages, frozen stages."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from numbers import Integral
from typing import Self, TypeGuard

import torch
from torch import Tensor, nn

from detnas.errors import UserError
from search_space.blocks import NormFactory, Stem
from search_space.choices import BlockSpec
from search_space.spaces import SearchSpace

MEMORY_FORMATS = {
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}


class Network(nn.Module):
    """The stem and the blocks of a space, which give one feature map per stage.

    Args:
        space: the search space.
        channel_shuffle: "even_odd" or "interleave"; weights trained with one fail with the other.
        build_block: builds a block, with the given function for normalisation layers.
        out_indices: which of the stages are returned, from 0.
        frozen_stages: freeze the stem and this many stages; 0 freezes the stem, -1 nothing.
        norm: makes the normalisation layer of a number of channels.
        norm_eval: keep the running statistics of batch norm fixed during training.
        memory_format: "channels_last" (faster) or "contiguous"; results differ by rounding.

    Raises:
        UserError: one of the arguments from `out_indices` on is invalid.
    """

    def __init__(
        self,
        space: SearchSpace,
        channel_shuffle: str,
        build_block: Callable[[BlockSpec, NormFactory], nn.Module],
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        norm: NormFactory = nn.BatchNorm2d,
        norm_eval: bool = False,
        memory_format: str = "channels_last",
    ) -> None:
        check_one_of("memory_format", memory_format, MEMORY_FORMATS)
        if not isinstance(norm_eval, bool):
            raise UserError(f"norm_eval is {norm_eval!r}; it must be True or False")
        if not callable(norm):
            raise UserError(f"norm is {norm!r}; it must make a layer of a number of channels")
        indices = _check_stages(space, out_indices, frozen_stages)
        super().__init__()
        self.space = space
        self.channel_shuffle = channel_shuffle
        self.out_indices = indices
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        specs = space.block_specs()
        blocks = [build_block(spec, norm) for spec in specs]
        self.stem = Stem(space.stem, norm)
        self.blocks = nn.ModuleList(blocks)
        self._stage_of_block = tuple(spec.stage for spec in specs)
        self.memory_format = MEMORY_FORMATS[memory_format]
        self.to(memory_format=self.memory_format)  # type: ignore[call-overload]
        for module in self._frozen_modules():
            module.requires_grad_(False)

    @property
    def out_channels(self) -> tuple[int, ...]:
        """Channels of each returned feature map."""
        return tuple(self.space.stages[i].channels for i in self.out_indices)

    def active_blocks(self) -> Iterator[nn.Module]:
        """The blocks that the forward pass runs, in order."""
        return iter(self.blocks)

    def feature_maps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images (N, 3, H, W) to the feature maps of `out_indices`, at strides 4, 8, 16, 32."""
        x = self.stem(x.contiguous(memory_format=self.memory_format))
        outputs: dict[int, Tensor] = {}
        for stage, block in zip(self._stage_of_block, self.active_blocks(), strict=True):
            x = block(x)
            outputs[stage] = x
        return tuple(outputs[i] for i in self.out_indices)

    def _frozen_modules(self) -> Iterator[nn.Module]:
        if self.frozen_stages >= 0:
            yield self.stem
        for stage, block in zip(self._stage_of_block, self.blocks, strict=True):
            if stage < self.frozen_stages:
                yield block

    def train(self, mode: bool = True) -> Self:
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


def check_one_of(name: str, value: object, allowed: Iterable[str]) -> None:
    """Raise UserError if an argument's value is not allowed."""
    if value not in list(allowed):
        raise UserError(f"{name} is {value!r}; it may be {' or '.join(allowed)}")


def _check_stages(
    space: SearchSpace, out_indices: object, frozen_stages: object
) -> tuple[int, ...]:
    """`out_indices` as a tuple, after both are checked."""
    stages = len(space.stages)
    told = f"space '{space.name}' has stages 0 to {stages - 1}"
    if not isinstance(out_indices, Iterable) or isinstance(out_indices, str | bytes):
        raise UserError(f"out_indices is {out_indices!r}; it must list stages, and {told}")
    indices = tuple(out_indices)
    if not indices or not all(_is_integer(i) and 0 <= i < stages for i in indices):
        raise UserError(f"out_indices is {indices}; {told}")
    if not _is_integer(frozen_stages) or not -1 <= frozen_stages <= stages:
        raise UserError(f"frozen_stages is {frozen_stages!r}; it may be -1 to {stages}")
    return tuple(map(int, indices))


def _is_integer(value: object) -> TypeGuard[int]:
    """Whether it is an integer, also one of numpy, and no truth value."""
    return isinstance(value, Integral) and not isinstance(value, bool)
