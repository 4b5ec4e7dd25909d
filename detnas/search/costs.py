"""The costs that a search records with every candidate, the first budget's cost first."""

from collections.abc import Mapping, Sequence

from detnas.search.strategies import Choices, Costs
from search_space.cost import CostTable, macs_table, params_table
from search_space.sampling import BudgetSampler


def candidate_costs(sampler: BudgetSampler, measured: Sequence[CostTable] = ()) -> Costs:
    """A function from a candidate to its costs by name, those of `named_costs`."""
    tables = named_costs(sampler, measured)

    def costs(choices: Choices) -> Mapping[str, float]:
        return {name: table.of(choices) for name, table in tables.items()}

    return costs


def named_costs(sampler: BudgetSampler, measured: Sequence[CostTable] = ()) -> dict[str, CostTable]:
    """The costs of a search by name.

    First those that the budgets bound, then whichever of MACs (at 3x224x224), parameters and the
    measured ones is not yet among them. A cost at a second input size is named with it:
    "macs@320x320".
    """
    tables: dict[str, CostTable] = {}
    defaults = (macs_table(sampler.space), params_table(sampler.space))
    for table in (*sampler.cost_tables, *defaults, *measured):
        if table not in tables.values():
            tables[table.name if table.name not in tables else _sized(table)] = table
    return tables


def _sized(table: CostTable) -> str:
    assert table.input_size is not None, "two tables of one cost differ in their input size"
    _, height, width = table.input_size
    return f"{table.name}@{height}x{width}"
