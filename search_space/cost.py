"""What an architecture costs: multiply-adds, parameters, measured latency.

Every cost here is additive: a base (the stem) plus one number per block and choice. One
multiply-add is one MAC. Counted, as the authors count (`FLOPs` in the paper's words): the
convolutions of the stem and of the chosen blocks, projections included. Not counted: biases, batch
norm, ReLU, and the classifier's layers. Parameters are those of the same layers with their biases
and batch-norm weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np

from search_space.errors import SpaceError
from search_space.spaces import BlockSpec, SearchSpace

InputSize = tuple[int, int, int]
DEFAULT_INPUT_SIZE: InputSize = (3, 224, 224)
COMPUTED_COSTS = ("macs", "params")


@dataclass(frozen=True)
class CostTable:
    """An additive cost: `base` plus `table[block][choice]` summed over the blocks.

    `name` is "macs", "params" or "latency_ms", `unit` what a person reads, and `input_size` the
    (channels, height, width) it holds for, None where it does not matter. Costs are all integers
    or all floats; integer costs stay exact integers.

    Raises:
        ValueError: rows of different lengths, or an entry that is not a finite number.
    """

    name: str
    unit: str
    input_size: InputSize | None
    base: int | float
    table: tuple[tuple[int | float, ...], ...]

    def __post_init__(self) -> None:
        if len({len(row) for row in self.table}) != 1 or not self.table[0]:
            raise SpaceError(f"cost table {self.name!r} must have equally many choices per block")
        if not all(math.isfinite(value) for value in (self.base, *sum(self.table, ()))):
            raise SpaceError(f"cost table {self.name!r} has an entry that is not finite")

    @cached_property
    def is_integer(self) -> bool:
        """Whether every entry is an integer, so that sums and comparisons are exact."""
        return all(isinstance(value, int) for value in (self.base, *sum(self.table, ())))

    @cached_property
    def _array(self) -> np.ndarray:
        array = np.array(self.table)
        array.setflags(write=False)
        return array

    def of(self, choices: Sequence[int]) -> int | float:
        """Cost of one architecture; an exact int, or a correctly rounded float."""
        entries = [row[choice] for row, choice in zip(self.table, choices, strict=True)]
        if self.is_integer:
            return self.base + sum(entries)
        return math.fsum((self.base, *entries))

    def of_many(self, choices: np.ndarray) -> np.ndarray:
        """Costs of architectures [n, blocks] as an int64 or float64 array [n]."""
        entries = self._array[np.arange(len(self.table)), choices]
        if self.is_integer:
            return self.base + entries.sum(axis=1)
        return np.array([math.fsum((self.base, *row)) for row in entries.tolist()])

    @property
    def min(self) -> int | float:
        """Cost of the cheapest architecture."""
        return self.of([row.index(min(row)) for row in self.table])

    @property
    def max(self) -> int | float:
        """Cost of the dearest architecture."""
        return self.of([row.index(max(row)) for row in self.table])


class Conv(NamedTuple):
    """A bias-free convolution of a block, followed by batch norm on `out_channels`.

    `downsampled` tells whether its output has the block's output resolution or the input's.
    """

    in_channels: int
    out_channels: int
    kernel: int
    depthwise: bool
    downsampled: bool

    @property
    def weights(self) -> int:
        fan_in = 1 if self.depthwise else self.in_channels
        return fan_in * self.out_channels * self.kernel**2


def block_convs(spec: BlockSpec, choice: str) -> tuple[Conv, ...]:
    """The convolutions of `choice` at the place `spec`: main branch, then projection if strided.

    At stride 1 half of the channels enter the main branch; at stride 2 all of them enter both.
    """
    mid = spec.out_channels // 2
    inputs = spec.in_channels if spec.stride == 2 else spec.in_channels // 2
    outputs = spec.out_channels - inputs
    kernel = int(choice[-1])
    main: tuple[Conv, ...]
    if choice.startswith("xception"):
        main = (
            Conv(inputs, inputs, 3, True, True),
            Conv(inputs, mid, 1, False, True),
            Conv(mid, mid, 3, True, True),
            Conv(mid, mid, 1, False, True),
            Conv(mid, mid, 3, True, True),
            Conv(mid, outputs, 1, False, True),
        )
    else:
        main = (
            Conv(inputs, mid, 1, False, False),
            Conv(mid, mid, kernel, True, True),
            Conv(mid, outputs, 1, False, True),
        )
    if spec.stride == 1:
        return main
    return (*main, Conv(inputs, inputs, kernel, True, True), Conv(inputs, inputs, 1, False, True))


@lru_cache(maxsize=64)
def macs_table(space: SearchSpace, input_size: InputSize = DEFAULT_INPUT_SIZE) -> CostTable:
    """Multiply-adds of the backbone for an image of `input_size` (channels, height, width)."""
    channels, height, width = input_size
    if min(input_size) < 1:
        raise SpaceError(f"input size {input_size} must be (channels, height, width), all positive")

    def positions(stride: int) -> int:
        # Padding k // 2 makes a strided convolution round up, at any depth of halving.
        return -(-height // stride) * -(-width // stride)

    def entry(spec: BlockSpec, choice: str) -> int:
        before, after = positions(spec.input_stride), positions(spec.input_stride * spec.stride)
        return sum(
            conv.weights * (after if conv.downsampled else before)
            for conv in block_convs(spec, choice)
        )

    rows = tuple(
        tuple(entry(spec, choice) for choice in space.choices) for spec in space.block_specs()
    )
    return CostTable("macs", "MACs", input_size, 9 * channels * space.stem * positions(2), rows)


@lru_cache(maxsize=64)
def params_table(space: SearchSpace) -> CostTable:
    """Parameters of the backbone for images of 3 channels."""
    rows = tuple(
        tuple(
            sum(conv.weights + 2 * conv.out_channels for conv in block_convs(spec, choice))
            for choice in space.choices
        )
        for spec in space.block_specs()
    )
    # The stem's convolution has a bias; its batch norm, a weight and a bias.
    return CostTable("params", "parameters", None, (9 * 3 + 1 + 2) * space.stem, rows)


def cost_table(
    space: SearchSpace,
    name: str,
    input_size: InputSize = DEFAULT_INPUT_SIZE,
    measured: Sequence[CostTable] = (),
) -> CostTable:
    """The table of the cost `name`: the one in `measured` for this input size, or a computed one.

    Raises:
        ValueError: neither measured nor computed, or measured for another space.
    """
    for table in measured:
        if table.name == name and table.input_size in (None, input_size):
            if (len(table.table), len(table.table[0])) != (space.num_blocks, space.num_choices):
                raise SpaceError(
                    f"cost table {name!r} is of {len(table.table)} blocks and "
                    f"{len(table.table[0])} choices, space {space.name!r} has "
                    f"{space.num_blocks} and {space.num_choices}"
                )
            return table
    if name == "macs":
        return macs_table(space, input_size)
    if name == "params":
        return params_table(space)
    if name == "latency_ms":
        size = "x".join(map(str, input_size))
        others = [table.input_size for table in measured if table.name == name]
        given = ", ".join("x".join(map(str, other)) for other in others if other)
        note = f" or the budget the input size of the one given, {given}" if given else ""
        raise SpaceError(
            f"cost 'latency_ms' at input {size} is measured: give its latency table "
            f"(search.cost_tables in a config, --latency-table){note}"
        )
    raise SpaceError(f"unknown cost {name!r}: known are {', '.join(COMPUTED_COSTS)}, latency_ms")


class Chosen(Protocol):
    """What a cost is of: a space and a choice per block, as `Architecture` is."""

    @property
    def space(self) -> SearchSpace:
        """The space that the choices are of."""

    @property
    def choices(self) -> tuple[int, ...]:
        """One per block."""


def macs(architecture: Chosen, input_size: InputSize = DEFAULT_INPUT_SIZE) -> int:
    """Multiply-adds of the backbone, exactly."""
    return int(macs_table(architecture.space, input_size).of(architecture.choices))


def params(architecture: Chosen) -> int:
    """Parameters of the backbone, exactly."""
    return int(params_table(architecture.space).of(architecture.choices))


def costs(architecture: Chosen, input_size: InputSize = DEFAULT_INPUT_SIZE) -> dict[str, Any]:
    """The computed part of the "costs" value of the architecture JSON."""
    return {
        "macs": macs(architecture, input_size),
        "params": params(architecture),
        "input_size": list(input_size),
    }


def supernet_params(space: SearchSpace) -> int:
    """Parameters of the supernet's backbone: the stem and every choice of every block."""
    table = params_table(space)
    return int(table.base + sum(map(sum, table.table)))
