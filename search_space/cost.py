"""What an architecture costs: multiply-adds, parameters, measured latency.

Every cost is additive: a base (the stem) plus one number per block and choice. `COSTS` lists them;
the computed ones are sums over the layers of the choices. One multiply-add is one MAC. Counted, as
the authors count (`FLOPs` in the paper's words): the convolutions of the stem and of the chosen
blocks, projections included. Not counted: biases, batch norm, ReLU, and the classifier's layers.
Parameters are those of the same layers with their biases and batch-norm weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from search_space.choices import CHOICES, Conv, stem_conv
from search_space.errors import SpaceError
from search_space.spaces import SearchSpace
from search_space.validation import did_you_mean

InputSize = Annotated[tuple[int, int, int], Meta(extra={"form": "[channels, height, width]"})]
DEFAULT_INPUT_SIZE: InputSize = (3, 224, 224)
LARGEST_SIDE = 1_000_000
"""Of an input size."""


@dataclass(frozen=True)
class Cost:
    """A kind of additive cost.

    Attributes:
        name: used in configs, JSON and histories, such as "macs".
        unit: what one is called after a number, such as "MACs" or "ms".
        label: what reports call the cost.
        of: the cost of one layer for an image of an input size; None if the cost is measured.
        depends_on_input_size: whether `of` does.
    """

    name: str
    unit: str
    label: str
    of: Callable[[Conv, InputSize], int] | None
    depends_on_input_size: bool = True


def _macs(conv: Conv, input_size: InputSize) -> int:
    # Padding of kernel // 2 makes a strided convolution round up, at any depth of halving.
    height, width = (-(-side // conv.output_stride) for side in input_size[1:])
    return conv.weights * height * width


def _params(conv: Conv, input_size: InputSize) -> int:
    return conv.weights + (2 + conv.bias) * conv.out_channels


COSTS: dict[str, Cost] = {
    cost.name: cost
    for cost in (
        Cost("macs", "MACs", "MACs", _macs),
        Cost("params", "parameters", "parameters", _params, depends_on_input_size=False),
        Cost("latency_ms", "ms", "latency", None),
    )
}
"""Every cost by its name."""


@dataclass(frozen=True)
class CostTable:
    """An additive cost: `base` plus `table[block][choice]` summed over the blocks.

    `name` is one of `COSTS`, `unit` its unit, and `input_size` the (channels, height, width) that
    the table holds for, None if it holds for all. Costs are all integers or all floats; integer
    costs stay exact integers. The entry of a choice that a block does not have is None.

    Raises:
        SpaceError: rows of different lengths, a row without an entry, or an entry that is not a
            finite number.
    """

    name: str
    unit: str
    input_size: InputSize | None
    base: int | float
    table: tuple[tuple[int | float | None, ...], ...]

    def __post_init__(self) -> None:
        if len({len(row) for row in self.table}) != 1 or not self.table[0]:
            raise SpaceError(f"cost table {self.name!r} must have equally many choices per block")
        entries: dict[str, int | float | None] = {"base": self.base}
        for block, row in enumerate(self.table):
            entries |= {f"table[{block}][{choice}]": value for choice, value in enumerate(row)}
        for where, value in entries.items():
            if value is not None and not math.isfinite(value):
                raise SpaceError(f"cost table {self.name!r}: {where} is {value}, not finite")
        if not all(self.entries):
            block = list(map(bool, self.entries)).index(False)
            raise SpaceError(f"cost table {self.name!r} has no choice at block {block}")

    @cached_property
    def is_integer(self) -> bool:
        """Whether every entry is an integer, so that sums and comparisons are exact."""
        return all(
            value is None or isinstance(value, int) for value in (self.base, *chain(*self.table))
        )

    @cached_property
    def entries(self) -> tuple[dict[int, int | float], ...]:
        """The cost of each choice that a block has, one dict per block."""
        return tuple(
            {choice: value for choice, value in enumerate(row) if value is not None}
            for row in self.table
        )

    def require_fit(self, space: SearchSpace) -> None:
        """Raise SpaceError unless the table has the blocks and choices of `space`."""
        shape = (len(self.table), len(self.table[0]))
        if shape != (space.num_blocks, space.num_choices):
            raise SpaceError(
                f"cost table {self.name!r} has {shape[0]} blocks and {shape[1]} choices, "
                f"space {space.name!r} has {space.num_blocks} and {space.num_choices}"
            )
        for block, (own, wanted) in enumerate(zip(self.entries, space.numbers, strict=True)):
            if tuple(own) != wanted:
                raise SpaceError(
                    f"cost table {self.name!r} has choices {_listed(own)} at block {block}, "
                    f"space {space.name!r} has {_listed(wanted)}"
                )

    def of(self, choices: Sequence[int]) -> int | float:
        """Cost of one architecture; an exact int, or a correctly rounded float.

        The choices must be ones that their blocks have, here and in `of_many`.
        """
        entries: list[Any] = [row[choice] for row, choice in zip(self.table, choices, strict=True)]
        if self.is_integer:
            return self.base + sum(entries)
        return math.fsum((self.base, *entries))

    def of_many(self, choices: np.ndarray) -> np.ndarray:
        """Costs of architectures [n, blocks] as an int64 or float64 array [n]."""
        filled = np.array([[0 if value is None else value for value in row] for row in self.table])
        entries = filled[np.arange(len(self.table)), choices]
        if self.is_integer:
            return self.base + entries.sum(axis=1)
        return np.array([math.fsum((self.base, *row)) for row in entries.tolist()])

    @property
    def min(self) -> int | float:
        """Cost of the cheapest architecture."""
        return self.of([min(row, key=row.__getitem__) for row in self.entries])

    @property
    def max(self) -> int | float:
        """Cost of the most expensive architecture."""
        return self.of([max(row, key=row.__getitem__) for row in self.entries])


def cost_table(
    space: SearchSpace,
    name: str,
    input_size: InputSize = DEFAULT_INPUT_SIZE,
    measured: Sequence[CostTable] = (),
) -> CostTable:
    """The table of the cost `name`: the one in `measured` for this input size, or a computed one.

    Raises:
        SpaceError: the cost is neither measured nor computed, or measured for another space.
    """
    given = [table for table in measured if table.name == name]
    for table in given:
        if table.input_size in (None, input_size):
            table.require_fit(space)
            return table
    if name not in COSTS:
        raise SpaceError(f"unknown cost {name!r}; {did_you_mean(name, COSTS, list_all=True)}")
    if COSTS[name].of is not None:
        return _computed(space, COSTS[name], input_size)
    sizes = ", ".join(size_text(table.input_size) for table in given if table.input_size)
    note = f" or the budget the input size of the one given, {sizes}" if sizes else ""
    raise SpaceError(
        f"cost {name!r} at input {size_text(input_size)} is measured: give its latency table "
        f"(search.cost_tables in a config, --latency-table){note}"
    )


@lru_cache(maxsize=128)
def _computed(space: SearchSpace, cost: Cost, input_size: InputSize) -> CostTable:
    if not all(1 <= side <= LARGEST_SIDE for side in input_size):
        raise SpaceError(
            f"input size {input_size} must be (channels, height, width), all positive and at most "
            f"{LARGEST_SIDE:,}"
        )
    if not cost.depends_on_input_size:
        input_size = DEFAULT_INPUT_SIZE

    def total(convs: tuple[Conv, ...]) -> int:
        assert cost.of is not None
        return sum(cost.of(conv, input_size) for conv in convs)

    rows = tuple(
        tuple(
            sum(map(total, CHOICES[name].convs(spec))) if number in numbers else None
            for number, name in enumerate(space.choices)
        )
        for spec, numbers in zip(space.block_specs(), space.numbers, strict=True)
    )
    base = total((stem_conv(space.stem, input_size[0]),))
    size = input_size if cost.depends_on_input_size else None
    return CostTable(cost.name, cost.unit, size, base, rows)


def macs_table(space: SearchSpace, input_size: InputSize = DEFAULT_INPUT_SIZE) -> CostTable:
    """Multiply-adds of the backbone for an image of `input_size` (channels, height, width)."""
    return cost_table(space, "macs", input_size)


def params_table(space: SearchSpace) -> CostTable:
    """Parameters of the backbone for images of 3 channels."""
    return cost_table(space, "params")


def computed_tables(
    space: SearchSpace, input_size: InputSize = DEFAULT_INPUT_SIZE
) -> list[CostTable]:
    """The tables of all costs that need no measurement, for an image of `input_size`."""
    return [_computed(space, cost, input_size) for cost in COSTS.values() if cost.of is not None]


def _listed(choices: Iterable[int]) -> str:
    return ", ".join(map(str, choices))


def size_text(input_size: InputSize) -> str:
    """An input size as in "3x224x224"."""
    return "x".join(map(str, input_size))
