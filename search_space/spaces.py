"""What can be searched: a chain of blocks in stages, each block one of several choices.

The three published spaces are those of the DetNAS paper (arXiv 1903.10979, section 3.3 and
table 1); `tiny` is for small images. In `small-skip`, `tiny-skip` and `elastic` blocks may be
skipped, so that depth is searched too. Every known space also exists in other widths and depths,
such as "small@0.5" and "small@1.2x1.4". A space says nothing of weights, tasks or budgets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, structs

from search_space.choices import CHOICES, BlockSpec
from search_space.errors import SpaceError
from search_space.validation import convert, did_you_mean

PAPER_CHOICES = ("shufflenet_3x3", "shufflenet_5x5", "shufflenet_7x7", "xception_3x3")
WITH_SKIP = (*PAPER_CHOICES, "skip")


class Stage(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A run of `blocks` blocks with `channels` output channels; the first halves the resolution."""

    channels: int
    blocks: int


MOST_BLOCKS = 1_000
MOST_CHANNELS = 1_000_000


class SearchSpace(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, dict=True):
    """A stem (3x3, stride 2) with `stem` channels, the stages, and the choices of the blocks.

    An architecture numbers the choices of every block as `choices` does.

    Attributes:
        name: one word.
        stem: channels of the stem.
        stages: the blocks, stage by stage.
        choices: names in `search_space.choices.CHOICES`.
        places: the names of the choices that each block has, one tuple per block. None means all,
            except that a block which halves the resolution has only choices that can do so.

    Raises:
        SpaceError: a geometry that the blocks cannot have, an unknown choice, or `places` of
            another number of blocks or with a choice that its block cannot have.
    """

    name: str
    stem: int
    stages: tuple[Annotated[Stage, Meta(extra={"form": "[channels, blocks]"})], ...]
    choices: tuple[str, ...]
    places: tuple[tuple[str, ...], ...] | None = None

    def __post_init__(self) -> None:
        if not self.name.isprintable() or not self.name or any(mark in self.name for mark in ":, "):
            raise SpaceError(f"space name {self.name!r} must be one word without ':' or ','")
        where = f"space {self.name!r}"
        if self.stem < 1:
            raise SpaceError(f"{where}: stem must be at least 1")
        if not self.stages:
            raise SpaceError(f"{where} has no stages: give at least one")
        if self.num_blocks > MOST_BLOCKS or max(s.channels for s in self.stages) > MOST_CHANNELS:
            most = f"at most {MOST_BLOCKS:,} blocks of at most {MOST_CHANNELS:,} channels"
            raise SpaceError(f"{where} is too large: it may have {most}")
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
        if self.places is not None and len(self.places) != self.num_blocks:
            raise SpaceError(
                f"{where}: places has {len(self.places)} blocks, the stages have {self.num_blocks}"
            )
        for spec, names in zip(self.block_specs(), self.places or (), strict=False):
            _check_place(spec, names, self.choices, f"{where}, places[{spec.index}]")
        for numbers in self.numbers:
            if not numbers:
                raise SpaceError(f"{where}: none of the choices can halve the resolution; add one")

    @property
    def num_blocks(self) -> int:
        """Blocks in all stages together, which is the length of an architecture."""
        return sum(stage.blocks for stage in self.stages)

    @property
    def num_choices(self) -> int:
        """Choices of the space; a block may have fewer."""
        return len(self.choices)

    @cached_property
    def numbers(self) -> tuple[tuple[int, ...], ...]:
        """The choices of every block, as indices into `choices`, in rising order."""
        specs = self.block_specs()
        places = self.places or [
            [name for name in self.choices if spec.stride == 1 or CHOICES[name].halves]
            for spec in specs
        ]
        return tuple(tuple(sorted(map(self.choices.index, names))) for names in places)

    @property
    def first_choices(self) -> tuple[int, ...]:
        """Every block's first choice: the hand-designed ShuffleNetV2 where that is 3x3."""
        return tuple(numbers[0] for numbers in self.numbers)

    @property
    def size(self) -> int:
        """Number of architectures, exactly."""
        return math.prod(map(len, self.numbers))

    @property
    def last_channels(self) -> int:
        """Channels of the 1x1 convolution before the classifier, which detection does not use."""
        return _LAST_CHANNELS.get(self.name.partition("@")[0], 1024)

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


def _check_place(
    spec: BlockSpec, names: tuple[str, ...], choices: tuple[str, ...], where: str
) -> None:
    if not names or len(set(names)) != len(names):
        raise SpaceError(f"{where}: the choices of a block must be non-empty and distinct")
    for name in names:
        if name not in choices:
            hint = did_you_mean(name, choices, list_all=True)
            raise SpaceError(f"{where}: {name!r} is not one of the space's choices; {hint}")
        if spec.stride == 2 and not CHOICES[name].halves:
            raise SpaceError(f"{where}: {name!r} cannot halve the resolution; remove it there")


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

    An object has the keys "name", "stem", "stages" (a list of [channels, blocks]), "choices" (a
    list of names) and optionally "places" (a list of names per block). It may describe a known
    space or a custom one.

    Raises:
        SpaceError: an unknown name, missing or unknown keys, invalid values, or a known name with
            another geometry.
    """
    if isinstance(what, SearchSpace):
        return what
    if isinstance(what, str):
        return get_space(what)
    if not isinstance(what, Mapping):
        raise SpaceError(f"space is {what!r}: give a name such as 'small', or a dict")
    space = convert(what, SearchSpace, "space")
    known = get_space(space.name) if _is_known(space.name) else space
    if known != space:
        raise SpaceError(
            f"space {space.name!r} is known with another geometry: give this one another name"
        )
    return known


def get_space(name: str) -> SearchSpace:
    """The space called `name`.

    "small@0.5" is `small` with half of the channels, and "small@1.2x1.4" has 1.2 times the channels
    and 1.4 times the blocks.

    Raises:
        SpaceError: no space has this name, in which case the message lists the names and the
            closest one; or as `scaled`.
    """
    known, width, depth = _factors(name)
    if known not in SPACES:
        raise SpaceError(f"unknown space {name!r}; {did_you_mean(known, SPACES, list_all=True)}")
    return scaled(SPACES[known], width, depth)


def _factors(name: str) -> tuple[str, float, float]:
    """The parts of a name such as "small@1.2x1.4"."""
    known, at, factors = name.partition("@")
    if not at:
        return known, 1.0, 1.0
    width, times, depth = factors.partition("x")
    try:
        if not set(factors) <= set("0123456789.+-einfax"):  # Python's numbers may have more
            raise ValueError
        return known, float(width), float(depth) if times else 1.0
    except ValueError:
        raise SpaceError(
            f"space {name!r}: the width after '@' must be a number, as in '{known}@0.5', or width "
            f"and depth, as in '{known}@1.2x1.4'"
        ) from None


MAX_WIDTH = 100
MAX_DEPTH = 10


def scaled(space: SearchSpace, width: float, depth: float = 1.0) -> SearchSpace:
    """The space with other numbers of channels and of blocks.

    Channels are multiplied by `width`, to the nearest multiple of 4 above 0, so that the shuffle
    can divide them. The blocks of each stage are multiplied by `depth`, rounded up; which choices
    the further ones have is that of their `sources`. The name is that of `space`, "@", the width,
    and "x" and the depth unless it is 1; both count to six digits. A known space that is scaled
    already is scaled from its original, by the products.

    Raises:
        SpaceError: `width` is not above 0 and at most 100, or so small that two stages, or the stem
            and the first stage, would have equally many channels; `depth` is not above 0 and at
            most 10.
    """
    original = space
    if "@" in space.name and _is_known(space.name):
        name, *before = _factors(space.name)
        original, width, depth = SPACES[name], width * before[0], depth * before[1]
    width, depth = (float(f"{factor:g}") for factor in (width, depth))  # as the name says them
    for what, factor, most in (("width", width, MAX_WIDTH), ("depth", depth, MAX_DEPTH)):
        if not 0 < factor <= most:
            raise SpaceError(
                f"space {original.name!r}: the {what} must be above 0 and at most {most}, not "
                f"{factor:g}"
            )
    if width == depth == 1:
        return original

    def channels(number: int) -> int:
        return max(4, 4 * round(number * width / 4))

    stages = tuple(
        Stage(channels(stage.channels), _deeper(stage.blocks, depth)) for stage in original.stages
    )
    places = original.places
    try:
        return structs.replace(
            original,
            name=f"{original.name}@{width:g}" + (f"x{depth:g}" if depth != 1 else ""),
            stem=channels(original.stem),
            stages=stages,
            places=places and tuple(places[block] for block in sources(original.stages, stages)),
        )
    except SpaceError as error:
        if width > 1:  # too many blocks or channels
            raise
        raise SpaceError(f"{error}: width {width:g} is too small") from None


def sources(stages: Sequence[Stage], deeper: Sequence[Stage]) -> tuple[int, ...]:
    """For every block of the deeper stages, the block of `stages` that it repeats.

    The first block of a stage, which halves the resolution, stays the first; the others are
    repeated in their order, as evenly as their number allows.
    """
    found: list[int] = []
    first = 0
    for stage, grown in zip(stages, deeper, strict=True):
        others, wanted = stage.blocks - 1, grown.blocks - 1
        found.append(first)
        found += [
            first + (1 + place * others // wanted if others else 0) for place in range(wanted)
        ]
        first += stage.blocks
    return tuple(found)


def _deeper(blocks: int, depth: float) -> int:
    """Rounded up, as in EfficientNet; products such as 10 * 1.1 are a little above theirs."""
    return max(1, math.ceil(round(blocks * depth, 6)))


def _is_known(name: str) -> bool:
    return name.partition("@")[0] in SPACES


def _space(
    name: str, stem: int, *stages: tuple[int, int], choices: tuple[str, ...] = PAPER_CHOICES
) -> SearchSpace:
    return SearchSpace(name, stem, tuple(Stage(*stage) for stage in stages), choices)


SPACES: dict[str, SearchSpace] = {
    space.name: space
    for space in (
        _space("small", 16, (64, 4), (160, 4), (320, 8), (640, 4)),
        _space("large", 48, (96, 8), (240, 8), (480, 16), (960, 8)),
        _space("large-wide", 72, (172, 8), (432, 8), (864, 16), (1728, 8)),
        _space("tiny", 16, (32, 2), (64, 2), (128, 4), (256, 2)),
        _space("small-skip", 16, (64, 4), (160, 4), (320, 8), (640, 4), choices=WITH_SKIP),
        _space("tiny-skip", 16, (32, 2), (64, 2), (128, 4), (256, 2), choices=WITH_SKIP),
        _space("elastic", 12, (48, 8), (120, 8), (240, 16), (480, 8), choices=WITH_SKIP),
    )
}
"""Every known space by its name."""

_LAST_CHANNELS = {"large-wide": 1728, "tiny": 256, "tiny-skip": 256}
