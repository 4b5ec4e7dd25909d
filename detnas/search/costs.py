"""The costs that a search records with every candidate, computed and measured, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from msgspec import structs

from detnas.errors import UserError, user_input
from search_space.architecture import Choices
from search_space.budget import Budget
from search_space.cost import DEFAULT_INPUT_SIZE, CostTable, computed_tables
from search_space.latency import NAME as LATENCY
from search_space.latency import LatencyTable, load_latency_table
from search_space.sampling import BudgetSampler
from search_space.spaces import SearchSpace


@dataclass(frozen=True)
class CandidateCosts:
    """A function from a candidate to its costs by name, the first budget's cost first.

    After the costs that the budgets bound come MACs (at 3x224x224), parameters and the measured
    ones, whichever of them is missing. A cost at a second input size is named with it:
    "macs@320x320".

    Attributes:
        sampler: draws inside the budgets.
        measured: latency tables, at most one of each input size.
    """

    sampler: BudgetSampler
    measured: tuple[LatencyTable, ...] = field(default=())

    def __call__(self, choices: Choices) -> Mapping[str, float]:
        """The costs of one candidate."""
        return {name: table.of(choices) for name, table in self.tables.items()}

    @cached_property
    def tables(self) -> dict[str, CostTable]:
        """The cost tables by name."""
        measured = (table.costs for table in self.measured)
        others = (*computed_tables(self.sampler.space), *measured)
        tables: dict[str, CostTable] = {}
        for table in (*self.sampler.cost_tables, *others):
            if table not in tables.values():
                tables[table.name if table.name not in tables else _sized_name(table)] = table
        return tables

    @property
    def measured_under(self) -> dict[str, Mapping[str, Any]]:
        """The conditions of each measured cost, by its name."""
        names = {id(costs): name for name, costs in self.tables.items()}
        return {names[id(table.costs)]: table.stated_conditions for table in self.measured}


def read_latency_tables(files: Sequence[str], space: SearchSpace) -> tuple[LatencyTable, ...]:
    """The tables of `search.cost_tables`.

    Raises:
        UserError: a file that is no latency table, one of another space, or two of one input size.
    """
    sizes: dict[Any, str] = {}
    tables = []
    for file in files:
        with user_input():
            table = load_latency_table(file, space)
        other = sizes.setdefault(table.costs.input_size, file)
        if other != file:
            raise UserError(
                f"search.cost_tables: {other} and {file} both hold latencies at input size "
                f"{table.costs.input_size}; leave one out"
            )
        tables.append(table)
    return tuple(tables)


def size_latency_budgets(
    budgets: Sequence[Budget], tables: Sequence[LatencyTable]
) -> tuple[Budget, ...]:
    """Budgets of latency at the only table's input size, where they state none themselves."""
    if len(tables) != 1:
        return tuple(budgets)
    size = tables[0].settings.input_size
    return tuple(
        structs.replace(budget, input_size=size)
        if budget.cost == LATENCY and budget.input_size == DEFAULT_INPUT_SIZE
        else budget
        for budget in budgets
    )


def size_text(height: int, width: int, times: str = "x") -> str:
    """The size of an image in texts: "160x160", or "160x96 (width x height)" where it is no square.

    Files and names of costs hold height before width; texts say width first, as photographers do.
    """
    size = f"{width}{times}{height}"
    space = " " if times.isalpha() else ""
    return size if height == width else f"{size} (width{space}{times}{space}height)"


def _sized_name(table: CostTable) -> str:
    assert table.input_size is not None, "two tables of one cost differ in their input size"
    _, height, width = table.input_size
    return f"{table.name}@{height}x{width}"
