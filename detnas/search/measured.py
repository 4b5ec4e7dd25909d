"""The measured costs of a search's config: read, checked, as budgets and histories need them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from detnas.errors import UserError
from search_space.budget import Budget
from search_space.cost import DEFAULT_INPUT_SIZE, CostTable
from search_space.latency import NAME, LatencyTable, load_latency_table
from search_space.spaces import SearchSpace


@dataclass(frozen=True)
class MeasuredCosts:
    """Latency tables of one space, one an input size."""

    tables: tuple[LatencyTable, ...]

    @property
    def costs(self) -> tuple[CostTable, ...]:
        """As samplers take them."""
        return tuple(table.costs for table in self.tables)

    def conditions(self, named: Mapping[str, CostTable]) -> dict[str, Mapping[str, Any]]:
        """Where each holds, by the name under which a candidate's costs have it."""
        names = {id(costs): name for name, costs in named.items()}
        return {names[id(table.costs)]: table.stated_conditions for table in self.tables}

    def sized(self, budgets: Sequence[Budget]) -> tuple[Budget, ...]:
        """Budgets of latency at the size of the only table, where they name none of their own."""
        if len(self.tables) != 1:
            return tuple(budgets)
        size = self.costs[0].input_size
        assert size is not None, "a latency is measured at some size"
        return tuple(
            replace(budget, input_size=size)
            if budget.cost == NAME and budget.input_size == DEFAULT_INPUT_SIZE
            else budget
            for budget in budgets
        )


def read_measured(files: Sequence[str], space: SearchSpace) -> MeasuredCosts:
    """The tables in `search.cost_tables`.

    Raises:
        ValueError: a file that is none, of another space, or of an input size that another has.
    """
    tables = tuple(load_latency_table(file, space) for file in files)
    sizes: dict[Any, str] = {}
    for file, table in zip(files, tables, strict=True):
        other = sizes.setdefault(table.costs.input_size, file)
        if other != file:
            raise UserError(
                f"search.cost_tables: {other} and {file} are both of latency at input size "
                f"{table.costs.input_size}; leave one out"
            )
    return MeasuredCosts(tables)
