"""One architecture: a space and one choice per block, its JSON, and the published networks.

The JSON, format "detnas-architecture" version 1, also carries the costs (checked when read), and
optionally how the network is scaled, the score it was chosen for and where it came from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from msgspec import Struct, structs

from search_space.compound_scaling import BackboneScaling, scaling_of
from search_space.cost import (
    COSTS,
    DEFAULT_INPUT_SIZE,
    InputSize,
    computed_tables,
    macs_table,
    params_table,
)
from search_space.documents import read_document, require_format, write_text
from search_space.errors import SpaceError
from search_space.spaces import SPACES, SearchSpace, parse_space, scaled, sources
from search_space.validation import convert, did_you_mean

FORMAT = "detnas-architecture"
VERSION = 1
ChannelShuffle = Literal["even_odd", "interleave"]
CHANNEL_SHUFFLES = get_args(ChannelShuffle)

Choices = tuple[int, ...]
"""An architecture as a strategy sees it: one block choice per block."""


def as_choices(row: np.ndarray) -> Choices:
    """A sampler's int8 [blocks] as a tuple of int."""
    return tuple(row.tolist())


def choices_to_text(choices: Iterable[int]) -> str:
    """Choices as the command line takes them: "2,1,2,0"."""
    return ",".join(map(str, choices))


def choices_from_text(text: str) -> Choices:
    """The reverse of `choices_to_text`."""
    return tuple(map(int, text.split(",")))


@dataclass(frozen=True)
class Architecture:
    """One choice per block of a space.

    Attributes:
        space: the space.
        choices: one per block, as an index into `space.choices`.
        channel_shuffle: how the channels are divided at stride 1: "even_odd" (the published
            detection networks) or "interleave" (the authors' supernets). Weights of one do not fit
            the other.
        scaling: makes the network wider and deeper: `network` is what is built then.

    Raises:
        SpaceError: a wrong number of choices, a choice out of range or not one of its block's, an
            unknown channel shuffle, a scaling that the space cannot have.
    """

    space: SearchSpace
    choices: Choices
    channel_shuffle: str = "even_odd"
    scaling: BackboneScaling | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.space, SearchSpace):
            raise SpaceError(
                f"space is {self.space!r}: give a SearchSpace, such as "
                "search_space.spaces.parse_space makes of a name"
            )
        # numpy integers are accepted, but JSON cannot hold them.
        object.__setattr__(self, "choices", tuple(int(choice) for choice in self.choices))
        space = self.space
        if len(self.choices) != space.num_blocks:
            raise SpaceError(
                f"architecture has {len(self.choices)} choices, "
                f"space {space.name!r} has {space.num_blocks} blocks"
            )
        for block, choice in enumerate(self.choices):
            if not 0 <= choice < space.num_choices:
                raise SpaceError(
                    f"choice {choice} of block {block} is out of range, "
                    f"space {space.name!r} has choices 0 to {space.num_choices - 1}"
                )
            if choice not in space.numbers[block]:
                allowed = ", ".join(space.choices[number] for number in space.numbers[block])
                raise SpaceError(
                    f"block {block} of space {space.name!r} cannot be {space.choices[choice]!r}, "
                    f"it may be {allowed}"
                )
        if self.channel_shuffle not in CHANNEL_SHUFFLES:
            raise SpaceError(
                f"unknown channel shuffle {self.channel_shuffle!r}, "
                f"must be one of {', '.join(CHANNEL_SHUFFLES)}"
            )
        if self.scaling == BackboneScaling(width=1.0, depth=1.0):
            object.__setattr__(self, "scaling", None)
        if self.scaling is not None:
            self._scaled  # noqa: B018 - raises SpaceError

    @property
    def network(self) -> Architecture:
        """What is built: the architecture itself, or the wider and deeper one of its `scaling`.

        That one is of a scaled space, such as "small@1.2x1.4". Its further blocks repeat those
        before them (`search_space.spaces.sources`).
        """
        return self if self.scaling is None else self._scaled

    @cached_property
    def _scaled(self) -> Architecture:
        assert self.scaling is not None
        space = scaled(self.space, self.scaling.width, self.scaling.depth)
        repeated = sources(self.space.stages, space.stages)
        choices = tuple(self.choices[block] for block in repeated)
        return Architecture(space, choices, self.channel_shuffle)

    @property
    def key(self) -> str:
        """Compact form "small:2,1,..." of the network; it does not name the channel shuffle."""
        network = self.network
        return f"{network.space.name}:{choices_to_text(network.choices)}"

    @property
    def choice_names(self) -> tuple[str, ...]:
        """The choices by name, before any scaling."""
        return tuple(self.space.choices[choice] for choice in self.choices)

    def unscaled_choices(self, what: object) -> Choices:
        """The choices, for use in their own space.

        Raises:
            SpaceError: the architecture is scaled; the message begins with `what`.
        """
        if self.scaling is not None:
            raise SpaceError(
                f"{what} is scaled: name the architecture of space {self.space.name!r} that it "
                f"comes from, {self.space.name}:{choices_to_text(self.choices)}"
            )
        return self.choices

    def to_dict(
        self,
        score: Mapping[str, Any] | None = None,
        provenance: Mapping[str, Any] | None = None,
        extra_costs: Mapping[str, Any] | None = None,
        input_size: InputSize = DEFAULT_INPUT_SIZE,
    ) -> dict[str, Any]:
        """The JSON object. `extra_costs` may hold a "latency_ms" with its device and hash."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "space": self.space.to_dict(),
            "scaling": None if self.scaling is None else structs.asdict(self.scaling),
            "channel_shuffle": self.channel_shuffle,
            "choices": list(self.choice_names),
            "costs": {**costs(self, input_size), **(extra_costs or {})},
            "score": None if score is None else dict(score),
            "provenance": None if provenance is None else dict(provenance),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Architecture:
        """Read the JSON object.

        Raises:
            SpaceError: another format or version, missing or unknown keys, invalid values, or
                costs that are not this architecture's.
        """
        require_format(data, "architecture", FORMAT, VERSION)
        document = convert(data, _Document)
        architecture = _build(document)
        if document.costs is not None:
            _check_costs(architecture, document.costs)
        return architecture

    def save(self, path: str | Path, **stated: Any) -> None:
        """Write the JSON file, whole or not at all; `stated` are the arguments of `to_dict`."""
        write_text(path, json.dumps(self.to_dict(**stated), indent=2) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Architecture:
        """Read a JSON file.

        Raises:
            SpaceError: no such file, not JSON, or as in `from_dict`; the message names the file.
        """
        return read_document(path, "no such architecture file", cls.from_dict)


class _Document(Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON object."""

    format: str
    version: int
    space: dict[str, Any]
    channel_shuffle: str
    choices: list[int | str]
    scaling: BackboneScaling | None = None
    costs: dict[str, Any] | None = None
    score: dict[str, Any] | None = None
    provenance: dict[str, Any] | None = None


class _Compact(Struct, frozen=True, forbid_unknown_fields=True):
    """The short form that configs and the command line use."""

    space: str | dict[str, Any]
    choices: list[int | str]
    channel_shuffle: str = CHANNEL_SHUFFLES[0]
    scaling: BackboneScaling | str | float | None = None


_SEARCHED = {
    "detnasnet-300m-coco-fpn": ("small", "21202112331300313132"),
    "detnasnet-300m-coco-retinanet": ("small", "23113213311133203333"),
    "detnasnet-300m-voc-fpn": ("small", "21031303201133333331"),
    "detnasnet-300m-voc-retinanet": ("small", "13002333233332202311"),
    "detnasnet-1.3g-coco-fpn": ("large", "0031210203123320211320222131033313333333"),
    "detnasnet-3.8g-coco-fpn": ("large-wide", "0031210203123320211320222131033313333333"),
}
_HAND_MADE = {"shufflenetv2-20": "small", "shufflenetv2-40": "large"}

PUBLISHED: dict[str, tuple[str, Choices]] = {
    **{name: (space, tuple(map(int, digits))) for name, (space, digits) in _SEARCHED.items()},
    **{name: (space, (0,) * SPACES[space].num_blocks) for name, space in _HAND_MADE.items()},
}
"""The published networks: name to (space name, choices), all of the `even_odd` channel shuffle.

The choices are those of the authors' released code (megvii-model/DetNAS). The 3.8G network has the
choices of the 1.3G one in a wider space. The hand-made ShuffleNetV2 networks use 3x3 everywhere.
"""


def parse_architecture(what: str | Path | Mapping[str, Any] | Architecture) -> Architecture:
    """An architecture from any form that names one.

    `what` is an Architecture, a JSON file's path, a published name, "space:choices" with choices
    as comma-separated numbers or names, the JSON object, or {"space": name, "choices": [...]}
    with an optional "channel_shuffle" and "scaling" (as `parse_scaling` reads it).

    Raises:
        SpaceError: it is none of these; the message lists what it may be.
    """
    if isinstance(what, Architecture):
        return what
    if isinstance(what, Path):
        return _load(what)
    if isinstance(what, Mapping):
        if "format" in what:
            return Architecture.from_dict(what)
        return _build(convert(what, _Compact, "architecture"))
    if not isinstance(what, str):
        raise SpaceError(f"architecture is {what!r}: give a file, a name, or choices")
    if what in PUBLISHED:
        space_name, choices = PUBLISHED[what]
        return Architecture(SPACES[space_name], choices)
    is_folder = os.path.isdir(what)  # noqa: PTH112 - False for names that no file can have
    if is_folder or os.sep in what or what.endswith((".json", *_WEIGHTS)):
        return _load(Path(what))
    space_name, colon, listed = what.partition(":")
    if colon:
        return _build(_Compact(space_name, list(listed.split(","))))
    raise SpaceError(
        f"unknown architecture {what!r}: give a .json file, 'space:choices' such as "
        f"'small:2,1,...', or a published name; {did_you_mean(what, PUBLISHED, list_all=True)}"
    )


_WEIGHTS = (".pth", ".pt", ".onnx")


def _load(path: Path) -> Architecture:
    """The architecture of a file, which is not a folder or a file of weights."""
    if path.is_dir():
        name = "best_architecture.json"
        found = [str(file) for file in sorted([*path.glob(name), *path.glob(f"*/{name}")])]
        raise SpaceError(
            f"architecture {path} is a folder: name a file of it, "
            f"{' or '.join(found) or f'such as {name}, which a finished search writes'}"
        )
    if path.suffix in _WEIGHTS:
        raise SpaceError(
            f"architecture {path} is a file of weights: name the architecture's, such as "
            "best_architecture.json; in Python, `pretrained` takes the weights"
        )
    return Architecture.load(path)


def parse_scaling(what: Any) -> BackboneScaling | None:
    """How a backbone is scaled, from any form that says so.

    `what` is None, {"width": factor, "depth": factor}, or what EfficientDet's compound scaling
    takes: a model's name such as "d3", or a coefficient phi. Those scale as the EfficientNet of
    that model is scaled from B0.

    Raises:
        SpaceError: it is none of these.
    """
    if what is None or isinstance(what, BackboneScaling):
        return what
    if isinstance(what, Mapping):
        return convert(what, BackboneScaling, "scaling")
    return scaling_of(what).backbone


def _build(document: _Document | _Compact) -> Architecture:
    """The architecture of a document, whose choices are integers, digits or names."""
    space = parse_space(document.space)

    def read(block: int, choice: int | str) -> int:
        if isinstance(choice, int):
            return choice
        choice = choice.strip()
        if choice in space.choices:
            return space.choices.index(choice)
        if choice.isdecimal():
            return int(choice)
        raise SpaceError(
            f"choice {choice!r} of block {block} must be one of {', '.join(space.choices)} "
            f"or a number from 0 to {space.num_choices - 1}"
        )

    choices = tuple(read(block, choice) for block, choice in enumerate(document.choices))
    scaling = parse_scaling(document.scaling)
    return Architecture(space, choices, document.channel_shuffle, scaling)


def _check_costs(architecture: Architecture, stated: Mapping[str, Any]) -> None:
    """Compare the computed costs with those of a file; measured ones cannot be computed again."""
    kind: Any = InputSize
    size = convert(stated.get("input_size", DEFAULT_INPUT_SIZE), kind, "costs.input_size")
    computed = costs(architecture, size)
    for name, value in stated.items():
        if name not in computed and name not in COSTS:
            hint = did_you_mean(name, (*COSTS, "input_size"))
            raise SpaceError(f"unknown key {name!r} under costs; {hint}")
        if name != "input_size" and name in computed and value != computed[name]:
            raise SpaceError(f"the file says {value} {name}, its choices have {computed[name]}")


def macs(architecture: Architecture, input_size: InputSize = DEFAULT_INPUT_SIZE) -> int:
    """Multiply-adds of the backbone, exactly."""
    network = architecture.network
    return int(macs_table(network.space, input_size).of(network.choices))


def params(architecture: Architecture) -> int:
    """Parameters of the backbone, exactly."""
    network = architecture.network
    return int(params_table(network.space).of(network.choices))


def costs(architecture: Architecture, input_size: InputSize = DEFAULT_INPUT_SIZE) -> dict[str, Any]:
    """The computed part of the "costs" value of the architecture JSON."""
    network = architecture.network
    tables = computed_tables(network.space, input_size)
    computed = {table.name: table.of(network.choices) for table in tables}
    return {**computed, "input_size": list(input_size)}
