"""What can be searched: a chain of blocks in stages, each block one of the space's choices.

The three published spaces are those of the DetNAS paper (arXiv 1903.10979, section 3.3 and
table 1); `tiny` is the demo's. A space says nothing of weights, tasks or budgets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from search_space.choices import CHOICES, BlockSpec
from search_space.errors import SpaceError
from search_space.validation import convert, did_you_mean

PAPER_CHOICES = ("shufflenet_3x3", "shufflenet_5x5", "shufflenet_7x7", "xception_3x3")


class Stage(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A run of `blocks` blocks with `channels` output channels; the first halves the resolution."""

    channels: int
    blocks: int


class SearchSpace(Struct, frozen=True, forbid_unknown_fields=True):
    """A stem (3x3, stride 2) with `stem` channels, the stages, and the choices of every block.

    `choices` are names in `search_space.choices.CHOICES`.

    Raises:
        SpaceError: a geometry that the blocks cannot have, or an unknown choice.
    """

    name: str
    stem: int
    stages: tuple[Annotated[Stage, Meta(extra={"form": "[channels, blocks]"})], ...]
    choices: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.name or any(mark in self.name for mark in ":, \n"):
            raise SpaceError(f"space name {self.name!r} must be one word without ':' or ','")
        where = f"space {self.name!r}"
        if self.stem < 1:
            raise SpaceError(f"{where}: stem must be at least 1")
        if not self.stages:
            raise SpaceError(f"{where} has no stages: give at least one")
        previous = self.stem
        for number, stage in enumerate(self.stages, start=1):
            _check_stage(stage, previous, f"{where}, stage {number}")
            previous = stage.channels
        for choice in self.choices:
            if choice not in CHOICES:
                hint = did_you_mean(choice, CHOICES, list_all=True)
                raise SpaceError(f"{where}: unknown choice {choice!r}; {hint}")
        if not self.choices or len(set(self.choices)) != len(self.choices):
            raise SpaceError(f"{where}: choices must be non-empty and distinct")

    @property
    def num_blocks(self) -> int:
        """Blocks in all stages together, which is the length of an architecture."""
        return sum(stage.blocks for stage in self.stages)

    @property
    def num_choices(self) -> int:
        """Choices of each block."""
        return len(self.choices)

    @property
    def size(self) -> int:
        """Number of architectures, exactly."""
        return self.num_choices**self.num_blocks

    @property
    def last_channels(self) -> int:
        """Channels of the 1x1 convolution before the classifier, which detection does not use."""
        return _LAST_CHANNELS.get(self.name, 1024)

    def block_specs(self) -> tuple[BlockSpec, ...]:
        """The places of the blocks, in order."""
        specs: list[BlockSpec] = []
        channels, input_stride = self.stem, 2
        for number, stage in enumerate(self.stages):
            for position in range(stage.blocks):
                stride = 1 if position else 2
                index = len(specs)
                specs.append(
                    BlockSpec(index, number, channels, stage.channels, stride, input_stride)
                )
                channels, input_stride = stage.channels, input_stride * stride
        return tuple(specs)

    def to_dict(self) -> dict[str, Any]:
        """The "space" value of the architecture JSON."""
        return msgspec.json.decode(msgspec.json.encode(self))


def _check_stage(stage: Stage, previous: int, where: str) -> None:
    if stage.blocks < 1:
        raise SpaceError(f"{where}: {stage.blocks} blocks, must be at least 1")
    if stage.channels % 4:
        raise SpaceError(f"{where}: {stage.channels} channels, must be divisible by 4")
    if stage.channels <= previous:
        raise SpaceError(
            f"{where}: {stage.channels} channels, must be more than the {previous} before"
        )


def parse_space(what: str | Mapping[str, Any] | SearchSpace) -> SearchSpace:
    """A space from its name, from its JSON object or config, or the space itself.

    An object has the keys "name", "stem", "stages" (a list of [channels, blocks]) and "choices" (a
    list of names). It may describe a known space or a custom one.

    Raises:
        SpaceError: an unknown name, missing or unknown keys, invalid values, or a known name with
            another geometry.
    """
    if isinstance(what, SearchSpace):
        return what
    if isinstance(what, str):
        return get_space(what)
    space = convert(what, SearchSpace, "space")
    known = SPACES.get(space.name, space)
    if known != space:
        raise SpaceError(
            f"space {space.name!r} is known with another geometry: give this one another name"
        )
    return known


def get_space(name: str) -> SearchSpace:
    """The space called `name`.

    Raises:
        SpaceError: no space has this name; the message lists the names and the closest one.
    """
    if name not in SPACES:
        raise SpaceError(f"unknown space {name!r}; {did_you_mean(name, SPACES, list_all=True)}")
    return SPACES[name]


def _space(name: str, stem: int, *stages: tuple[int, int]) -> SearchSpace:
    return SearchSpace(name, stem, tuple(Stage(*stage) for stage in stages), PAPER_CHOICES)


SPACES: dict[str, SearchSpace] = {
    space.name: space
    for space in (
        _space("small", 16, (64, 4), (160, 4), (320, 8), (640, 4)),
        _space("large", 48, (96, 8), (240, 8), (480, 16), (960, 8)),
        _space("large-wide", 72, (172, 8), (432, 8), (864, 16), (1728, 8)),
        _space("tiny", 16, (32, 2), (64, 2), (128, 4), (256, 2)),
    )
}
"""Every known space by its name."""

_LAST_CHANNELS = {"large-wide": 1728, "tiny": 256}
