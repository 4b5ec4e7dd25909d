"""Latency as a cost: what a measured table holds, and its JSON.

`detnas measure-latency` makes such tables (`detnas.evaluation.latency`). A table holds for one
device and one setting of it: milliseconds for a batch of `batch_size` images, not for an image.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from search_space.architecture import CHANNEL_SHUFFLES
from search_space.cost import DEFAULT_INPUT_SIZE, CostTable, InputSize
from search_space.documents import read_document
from search_space.errors import SpaceError
from search_space.spaces import SearchSpace

FORMAT = "detnas-latency"
VERSION = 1
NAME = "latency_ms"
DTYPES = ("float32", "bfloat16", "float16")
MEMORY_FORMATS = ("channels_last", "contiguous")
_KEYS = ("format", "version", "space", "base", "table", "settings", "device", "torch", "date")


@dataclass(frozen=True)
class LatencySettings:
    """What is timed, and how often.

    Attributes:
        input_size: (channels, height, width) of an image.
        batch_size: images in the batch whose milliseconds are told.
        threads: CPU threads.
        dtype: of weights, images and feature maps, one of `DTYPES`.
        memory_format: "channels_last" or "contiguous".
        channel_shuffle: of the backbone, "even_odd" or "interleave".
        rounds: each block is timed twice with each of its choices in every round.
        quantile: of an entry's timings that is taken; a low one, since other work only adds time.
        seed: of the paths of a round.

    Raises:
        ValueError: a value of the wrong type or out of its range.
    """

    input_size: InputSize = DEFAULT_INPUT_SIZE
    batch_size: int = 1
    threads: int = 1
    dtype: str = "float32"
    memory_format: str = "channels_last"
    channel_shuffle: str = "even_odd"
    rounds: int = 100
    quantile: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        size = self.input_size
        if len(size) != 3 or size[0] != 3 or not all(_is_int(side, 1) for side in size):
            raise SpaceError(f"input size {size} must be (3, height, width), all positive integers")
        for name, least in (("batch_size", 1), ("threads", 1), ("rounds", 1), ("seed", 0)):
            if not _is_int(getattr(self, name), least):
                raise SpaceError(
                    f"{name} is {getattr(self, name)!r}, must be a whole number of at least {least}"
                )
        for name, known in (
            ("dtype", DTYPES),
            ("memory_format", MEMORY_FORMATS),
            ("channel_shuffle", CHANNEL_SHUFFLES),
        ):
            if getattr(self, name) not in known:
                raise SpaceError(f"{name} is {getattr(self, name)!r}; it may be {', '.join(known)}")
        if not _is_number(self.quantile) or self.quantile > 1:
            raise SpaceError(f"quantile is {self.quantile!r}, must be a number from 0 to 1")


@dataclass(frozen=True)
class LatencyTable:
    """Measured milliseconds of stem, blocks and choices, and where they hold.

    Attributes:
        space: whose blocks they are.
        costs: the additive cost "latency_ms", in milliseconds for one batch.
        settings: what was timed.
        device_type: "cpu" or "cuda".
        device_name: model of the processor or the GPU.
        torch: version of torch.
        date: when it was measured, in ISO form.

    Raises:
        ValueError: costs of another name, size or shape than this space and these settings have,
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
        costs, space = self.costs, self.space
        if costs.name != NAME or costs.input_size != self.settings.input_size:
            raise SpaceError(f"costs must be {NAME!r} at the input size of the settings")
        if (len(costs.table), len(costs.table[0])) != (space.num_blocks, space.num_choices):
            raise SpaceError(
                f'"table" is of {len(costs.table)} blocks and {len(costs.table[0])} choices, '
                f"space {space.name!r} has {space.num_blocks} and {space.num_choices}"
            )
        if min(costs.base, *map(min, costs.table)) < 0:
            raise SpaceError("a latency must not be negative")

    @property
    def sha256(self) -> str:
        """Hash of the content, whatever the layout of its file."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def conditions(self) -> str:
        """Where it holds, in a line."""
        settings = self.settings
        threads = f", {settings.threads} thread{'s' * (settings.threads > 1)}"
        return (
            f"{self.device_name}{threads if self.device_type == 'cpu' else ''}, "
            f"{settings.dtype}, {settings.memory_format}, batch of {settings.batch_size} at "
            f"{'x'.join(map(str, settings.input_size))}, torch {self.torch}"
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
        settings = asdict(self.settings)
        return {
            "format": FORMAT,
            "version": VERSION,
            "space": self.space.to_dict(),
            "base": self.costs.base,
            "table": [list(row) for row in self.costs.table],
            "settings": {**settings, "input_size": list(self.settings.input_size)},
            "device": {"type": self.device_type, "name": self.device_name},
            "torch": self.torch,
            "date": self.date,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LatencyTable:
        """Read the JSON object.

        Raises:
            ValueError: another format or version, missing or unknown keys, invalid values.
        """
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise SpaceError(
                f'not a latency table: its "format" must be {FORMAT!r} (make one with '
                "`detnas measure-latency`)"
            )
        if data.get("version") != VERSION:
            raise SpaceError(
                f"latency table version {data.get('version')!r}, this program reads {VERSION}"
            )
        _check_keys(data, _KEYS, "latency table")
        _check_keys(data["device"], ("type", "name"), '"device"')
        texts = {"torch": data["torch"], "date": data["date"], **data["device"]}
        for key, text in texts.items():
            if not isinstance(text, str) or not text:
                raise SpaceError(f'"{key}" is {text!r}, must be a text')
        settings = _read_settings(data["settings"])
        return cls(
            SearchSpace.from_dict(data["space"]),
            latency_costs(data["base"], data["table"], settings.input_size),
            settings,
            texts["type"],
            texts["name"],
            texts["torch"],
            texts["date"],
        )


def latency_costs(base: object, table: object, input_size: InputSize) -> CostTable:
    """The additive cost of measured milliseconds.

    Raises:
        ValueError: not rows of finite, non-negative numbers, equally many in each.
    """
    rows: Any = table if isinstance(table, list | tuple) else [None]
    if not all(isinstance(row, list | tuple) for row in rows):
        raise SpaceError('"table" must be a list of lists of numbers, one list for each block')
    for where, value in (
        ("base", base),
        *((f"table[{b}][{c}]", v) for b, row in enumerate(rows) for c, v in enumerate(row)),
    ):
        if not _is_number(value):
            raise SpaceError(f'"{where}" is {value!r}, must be a finite number of at least 0')
    milliseconds = tuple(tuple(map(float, row)) for row in rows)
    return CostTable(NAME, "ms", input_size, float(base), milliseconds)  # type: ignore[arg-type]


def load_latency_table(path: str | Path, space: SearchSpace | None = None) -> LatencyTable:
    """Read a table's JSON file; `space` is the one it must be of.

    Raises:
        ValueError: no such file, not JSON, not a valid table, or another space's; the message names
            the file.
    """
    absent = "no such latency table (make one with `detnas measure-latency`)"
    table = read_document(path, absent, LatencyTable.from_dict)
    if space is not None and table.space != space:
        raise SpaceError(
            f"{path}: a latency table of space {table.space.name!r}, not of {space.name!r} "
            "(measure one with `detnas measure-latency`)"
        )
    return table


def _read_settings(data: object) -> LatencySettings:
    _check_keys(data, [item.name for item in fields(LatencySettings)], '"settings"')
    assert isinstance(data, Mapping)
    if not isinstance(data["input_size"], list | tuple):
        raise SpaceError('"input_size" must be [channels, height, width]')
    return LatencySettings(**{**data, "input_size": tuple(data["input_size"])})


def _check_keys(data: object, keys: Sequence[str], where: str) -> None:
    if not isinstance(data, Mapping):
        raise SpaceError(f"{where} must be an object")
    missing = [key for key in keys if key not in data]
    if missing:
        raise SpaceError(f'{where} lacks the key "{missing[0]}"')
    unknown = [key for key in data if key not in keys]
    if unknown:
        raise SpaceError(f'{where} has the unknown key "{unknown[0]}"')


def _is_int(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: object) -> bool:
    """Whether it is a finite number of at least 0."""
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and math.isfinite(value) and value >= 0  # type: ignore[operator, arg-type]
