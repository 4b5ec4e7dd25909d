"""Latency as a cost: measured tables and their JSON.

`detnas measure-latency` makes such tables (`detnas.evaluation.latency`). A table holds for one
device and one group of settings: milliseconds for a batch of `batch_size` images, not per image.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from search_space.architecture import ChannelShuffle
from search_space.cost import COSTS, DEFAULT_INPUT_SIZE, CostTable, size_text
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


class Device(Struct, frozen=True, forbid_unknown_fields=True):
    """What was measured on: its type, "cpu" or "cuda", and the model of the processor or GPU."""

    type: Text
    name: Text


class LatencyTable(
    Struct,
    frozen=True,
    kw_only=True,
    dict=True,
    forbid_unknown_fields=True,
    tag_field="format",
    tag=FORMAT,
):
    """Measured milliseconds of stem, blocks and choices, and the conditions that they hold for.

    Its fields are those of its JSON.

    Attributes:
        space: whose blocks were measured.
        base: milliseconds of the stem for one batch.
        table: milliseconds of the choices for one batch, [blocks][choices]; null for a choice that
            a block does not have.
        settings: what was timed.
        device: what it was measured on.
        torch: version of torch.
        date: when it was measured, in ISO form.

    Raises:
        SpaceError: a latency that is negative or not finite, or another number of blocks or choices
            than the space has.
    """

    version: int = VERSION
    space: SearchSpace
    base: Milliseconds
    table: tuple[tuple[Milliseconds | None, ...], ...]
    settings: LatencySettings
    device: Device
    torch: Text
    date: Text

    def __post_init__(self) -> None:
        check_fields(self)
        self.costs.require_fit(self.space)

    @cached_property
    def costs(self) -> CostTable:
        """The additive cost "latency_ms", in milliseconds for one batch."""
        size = self.settings.input_size
        return CostTable(NAME, COSTS[NAME].unit, size, self.base, self.table)

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
            f"{self.device.name}{threads if self.device.type == 'cpu' else ''}, "
            f"{settings.dtype}, {settings.memory_format}, batch of {settings.batch_size} at "
            f"{size_text(settings.input_size)}, torch {self.torch}"
        )

    @property
    def stated_conditions(self) -> dict[str, Any]:
        """What an architecture's JSON says beside the "value" of its "latency_ms"."""
        return {
            "batch_size": self.settings.batch_size,
            "input_size": list(self.settings.input_size),
            "device": self.device.name,
            "table_sha256": self.sha256,
        }

    def to_dict(self) -> dict[str, Any]:
        """The JSON object."""
        return msgspec.json.decode(msgspec.json.encode(self))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LatencyTable:
        """Read the JSON object.

        Raises:
            SpaceError: another format or version, missing or unknown keys, invalid values.
        """
        hint = " (make one with `detnas measure-latency`)"
        require_format(data, "latency table", FORMAT, VERSION, hint)
        table = convert(data, cls)
        for key in LatencySettings.__struct_fields__:
            if key not in data["settings"]:
                raise SpaceError(f"key '{key}' is missing under settings; add it")
        parse_space(data["space"])  # refuses a known name with another geometry
        return table


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
