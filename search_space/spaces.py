"""What can be searched: a chain of blocks in four stages, each block one of four choices.

The three published spaces are those of the DetNAS paper (arXiv 1903.10979, section 3.3 and
table 1); `tiny` is the demo's. A space says nothing of weights, tasks or budgets.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from search_space.errors import SpaceError

CHOICES = ("shufflenet_3x3", "shufflenet_5x5", "shufflenet_7x7", "xception_3x3")
_GEOMETRY_KEYS = ("name", "stem", "stages", "choices")


@dataclass(frozen=True)
class Stage:
    """A run of `blocks` blocks with `channels` output channels; the first halves the resolution."""

    channels: int
    blocks: int


@dataclass(frozen=True)
class BlockSpec:
    """The place of one block in a space, whichever choice fills it.

    `index` counts over the whole chain and `stage` over the stages, both from 0. `stride` is 2 for
    the first block of a stage and 1 otherwise; `input_stride` is the total downsampling of the
    block's input relative to the image.
    """

    index: int
    stage: int
    in_channels: int
    out_channels: int
    stride: int
    input_stride: int


@dataclass(frozen=True)
class SearchSpace:
    """A stem (3x3, stride 2) with `stem` channels, the stages, and the choices of every block.

    `last_channels` is the width of the 1x1 convolution before the classifier. Detection does not
    use that layer, so it is neither part of a space's identity nor of its JSON.

    Raises:
        ValueError: a geometry that the blocks cannot have.
    """

    name: str
    stem: int
    stages: tuple[Stage, ...]
    choices: tuple[str, ...] = CHOICES
    last_channels: int = field(default=1024, compare=False)

    def __post_init__(self) -> None:
        if not self.name or any(mark in self.name for mark in ":, \n"):
            raise SpaceError(f"space name {self.name!r} must be one word without ':' or ','")
        if self.stem < 1 or self.last_channels < 1:
            raise SpaceError(f"space {self.name!r}: stem and last_channels must be at least 1")
        if not self.stages:
            raise SpaceError(f"space {self.name!r} has no stages: give at least one")
        previous = self.stem
        for number, stage in enumerate(self.stages, start=1):
            where = f"space {self.name!r}, stage {number}"
            if stage.blocks < 1:
                raise SpaceError(f"{where}: {stage.blocks} blocks, must be at least 1")
            if stage.channels % 4:
                raise SpaceError(f"{where}: {stage.channels} channels, must be divisible by 4")
            if stage.channels <= previous:
                raise SpaceError(
                    f"{where}: {stage.channels} channels, must be more than the {previous} before"
                )
            previous = stage.channels
        unknown = [choice for choice in self.choices if choice not in CHOICES]
        if unknown:
            raise SpaceError(
                f"space {self.name!r}: unknown choice {unknown[0]!r}, must be of {list(CHOICES)}"
            )
        if not self.choices or len(set(self.choices)) != len(self.choices):
            raise SpaceError(f"space {self.name!r}: choices must be non-empty and distinct")

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

    def block_specs(self) -> tuple[BlockSpec, ...]:
        """The blocks in order."""
        specs: list[BlockSpec] = []
        channels, total_stride = self.stem, 2
        for stage_index, stage in enumerate(self.stages):
            for position in range(stage.blocks):
                stride = 2 if position == 0 else 1
                specs.append(
                    BlockSpec(
                        index=len(specs),
                        stage=stage_index,
                        in_channels=channels,
                        out_channels=stage.channels,
                        stride=stride,
                        input_stride=total_stride,
                    )
                )
                channels, total_stride = stage.channels, total_stride * stride
        return tuple(specs)

    def to_dict(self) -> dict[str, Any]:
        """The "space" value of the architecture JSON."""
        return {
            "name": self.name,
            "stem": self.stem,
            "stages": [[stage.channels, stage.blocks] for stage in self.stages],
            "choices": list(self.choices),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SearchSpace:
        """Read the "space" value of the architecture JSON.

        A known name must come with its own geometry and gives the known space; another name gives
        a custom one.

        Raises:
            ValueError: missing or unknown keys, wrong types, a known name with another geometry.
        """
        if not isinstance(data, Mapping) or set(data) != set(_GEOMETRY_KEYS):
            raise SpaceError(f"a space must be an object with exactly the keys {_GEOMETRY_KEYS}")
        name, stem, stages, choices = (data[key] for key in _GEOMETRY_KEYS)
        if not isinstance(name, str) or not _is_int(stem):
            raise SpaceError("a space's name must be a string and its stem an integer")
        if not isinstance(stages, list | tuple) or not all(_is_pair(stage) for stage in stages):
            raise SpaceError(f"space {name!r}: stages must be a list of [channels, blocks]")
        if not isinstance(choices, list | tuple) or not all(isinstance(c, str) for c in choices):
            raise SpaceError(f"space {name!r}: choices must be a list of names")
        space = cls(name, stem, tuple(Stage(*stage) for stage in stages), tuple(choices))
        known = SPACES.get(name)
        if known is not None and known != space:
            raise SpaceError(
                f"space {name!r} is known with another geometry: give this one another name"
            )
        return known or space


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_pair(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_int, value))


def _space(name: str, stem: int, *stages: tuple[int, int], last_channels: int) -> SearchSpace:
    return SearchSpace(
        name, stem, tuple(Stage(*stage) for stage in stages), last_channels=last_channels
    )


SPACES: dict[str, SearchSpace] = {
    space.name: space
    for space in (
        _space("small", 16, (64, 4), (160, 4), (320, 8), (640, 4), last_channels=1024),
        _space("large", 48, (96, 8), (240, 8), (480, 16), (960, 8), last_channels=1024),
        _space("large-wide", 72, (172, 8), (432, 8), (864, 16), (1728, 8), last_channels=1728),
        _space("tiny", 16, (32, 2), (64, 2), (128, 4), (256, 2), last_channels=256),
    )
}


def parse_space(what: str | Mapping[str, Any] | SearchSpace) -> SearchSpace:
    """A space from its name, its JSON object or itself."""
    if isinstance(what, SearchSpace):
        return what
    return SearchSpace.from_dict(what) if isinstance(what, Mapping) else get_space(what)


def get_space(name: str) -> SearchSpace:
    """The space called `name`.

    Raises:
        ValueError: there is none; the message lists the names and the closest one.
    """
    if name in SPACES:
        return SPACES[name]
    close = difflib.get_close_matches(name, SPACES, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise SpaceError(f"unknown space {name!r}: {hint}known spaces are {', '.join(SPACES)}")
