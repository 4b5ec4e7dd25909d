"""Latency as a cost: measured tables and their JSON.

`detnas measure-latency` makes such tables (`detnas.evaluation.latency`). A table holds for one
device and one group of settings: milliseconds for a batch of `batch_size` images, not per image.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from search_space.architecture import ChannelShuffle
from search_space.cost import COSTS, DEFAULT_INPUT_SIZE, CostTable, InputSize, size_text
from search_space.documents import read_document, require_format
from search_space.errors import SpaceError
from search_space.spaces import SearchSpace, parse_space
from search_space.validation import check_fields, convert

FORMAT = "detnas-latency"
VERSION = 1
NAME = "latency_ms"
AtLeast1 = Annotated[int, Meta(ge=1)]
ImageSize = Annotated[
    tuple[Annotated[int, Meta(ge=3, le=3)], AtLeast1, AtLeast1],
    Meta(extra={"form": "[3, height, width]"}),
]
Milliseconds = Annotated[float, Meta(ge=0)]
Text = Annotated[str, Meta(min_length=1)]


class LatencySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What is timed, and how often.

    Attributes:
        input_size: (channels, height, width) of an image.
        batch_size: images in the batch whose milliseconds are measured.
        threads: CPU threads.
        dtype: of weights, images and feature maps.
        memory_format: "channels_last" or "contiguous".
        channel_shuffle: of the backbone, "even_odd" or "interleave".
        rounds: each block is timed twice with each of its choices in every round.
        quantile: which quantile of an entry's timings is taken; a low one, since other work on the
            machine only adds time.
        seed: of the paths of a round.

    Raises:
        SpaceError: a value of the wrong type or out of its range.
    """

    input_size: ImageSize = DEFAULT_INPUT_SIZE
    batch_size: AtLeast1 = 1
    threads: AtLeast1 = 1
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    memory_format: Literal["channels_last", "contiguous"] = "channels_last"
    channel_shuffle: ChannelShuffle = "even_odd"
    rounds: AtLeast1 = 100
    quantile: Annotated[float, Meta(ge=0, le=1)] = 0.2
    seed: Annotated[int, Meta(ge=0)] = 0

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class LatencyTable:
    """Measured milliseconds of stem, blocks and choices, and the conditions that they hold for.

    Attributes:
        space: whose blocks were measured.
        costs: the additive cost "latency_ms", in milliseconds for one batch.
        settings: what was timed.
        device_type: "cpu" or "cuda".
        device_name: model of the processor or the GPU.
        torch: version of torch.
        date: when it was measured, in ISO form.

    Raises:
        SpaceError: costs of another name, size or shape than this space and these settings have,
            or a negative one.
    """

    space: SearchSpace
    costs: CostTable
    settings: LatencySettings
    device_type: str
    device_name: str
    torch: str
    date: str

    def __post_init__(self) -> None:
        costs = self.costs
        if costs.name != NAME or costs.input_size != self.settings.input_size:
            raise SpaceError(f"costs must be {NAME!r} at the input size of the settings")
        costs.require_fit(self.space)
        if min(costs.base, *map(min, costs.table)) < 0:
            raise SpaceError("a latency must not be negative")

    @property
    def sha256(self) -> str:
        """Hash of the content, whatever the layout of its file."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def conditions(self) -> str:
        """The conditions that the table holds for, in one line."""
        settings = self.settings
        threads = f", {settings.threads} thread{'s' * (settings.threads > 1)}"
        return (
            f"{self.device_name}{threads if self.device_type == 'cpu' else ''}, "
            f"{settings.dtype}, {settings.memory_format}, batch of {settings.batch_size} at "
            f"{size_text(settings.input_size)}, torch {self.torch}"
        )

    @property
    def stated_conditions(self) -> dict[str, Any]:
        """What an architecture's JSON says beside the "value" of its "latency_ms"."""
        return {
            "batch_size": self.settings.batch_size,
            "input_size": list(self.settings.input_size),
            "device": self.device_name,
            "table_sha256": self.sha256,
        }

    def to_dict(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "space": self.space.to_dict(),
            "base": self.costs.base,
            "table": [list(row) for row in self.costs.table],
            "settings": {
                **msgspec.structs.asdict(self.settings),
                "input_size": list(self.settings.input_size),
            },
            "device": {"type": self.device_type, "name": self.device_name},
            "torch": self.torch,
            "date": self.date,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LatencyTable:
        """Read the JSON object.

        Raises:
            SpaceError: another format or version, missing or unknown keys, invalid values.
        """
        hint = " (make one with `detnas measure-latency`)"
        require_format(data, "latency table", FORMAT, VERSION, hint)
        document = convert(data, _Document)
        for key in LatencySettings.__struct_fields__:
            if key not in data["settings"]:
                raise SpaceError(f"key '{key}' is missing under settings; add it")
        settings = document.settings
        return cls(
            parse_space(document.space),
            latency_costs(document.base, document.table, settings.input_size),
            settings,
            document.device.type,
            document.device.name,
            document.torch,
            document.date,
        )


class _Device(Struct, frozen=True, forbid_unknown_fields=True):
    type: Text
    name: Text


class _Document(Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON object; a file must state all settings."""

    format: str
    version: int
    space: dict[str, Any]
    base: Milliseconds
    table: list[list[Milliseconds]]
    settings: LatencySettings
    device: _Device
    torch: Text
    date: Text


def latency_costs(
    base: float, table: Sequence[Sequence[float]], input_size: InputSize
) -> CostTable:
    """The additive cost of measured milliseconds: of the stem, and [blocks][choices].

    Raises:
        SpaceError: a value that is not finite, or rows of different lengths.
    """
    milliseconds = tuple(tuple(map(float, row)) for row in table)
    return CostTable(NAME, COSTS[NAME].unit, input_size, float(base), milliseconds)


def load_latency_table(path: str | Path, space: SearchSpace | None = None) -> LatencyTable:
    """Read a table's JSON file; it must be of `space` if that is given.

    Raises:
        SpaceError: no such file, not JSON, not a valid table, or a table of another space; the
            message names the file.
    """
    missing = "no such latency table (make one with `detnas measure-latency`)"
    table = read_document(path, missing, LatencyTable.from_dict)
    if space is not None and table.space != space:
        raise SpaceError(
            f"{path}: a latency table of space {table.space.name!r}, not of {space.name!r} "
            "(measure one with `detnas measure-latency`)"
        )
    return table
