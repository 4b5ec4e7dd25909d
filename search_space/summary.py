"""The size of a space within budgets, and the ranges of its costs."""

from collections.abc import Sequence
from typing import Any

from search_space.budget import Budget, readable
from search_space.cost import CostTable
from search_space.sampling import BudgetSampler


def space_summary(sampler: BudgetSampler, tables: Sequence[CostTable]) -> dict[str, Any]:
    """Counts of the sampler's space and ranges of costs, ready for JSON.

    Args:
        sampler: the space within its budgets.
        tables: further costs to describe, under `costs`.
    Returns:
        `min` and `max` are the range of `cost`: that of the first budget, else of the first table.
    """
    first = sampler.cost_tables[0] if sampler.budgets else tables[0]
    budgets = zip(sampler.budgets, sampler.cost_tables, sampler.steps, strict=True)
    return {
        "space": sampler.space.name,
        "blocks": sampler.space.num_blocks,
        "size": sampler.space.size,
        "count": sampler.count,
        "share": sampler.share,
        "exact": sampler.exact,
        "cost": first.name,
        "min": first.min,
        "max": first.max,
        "budgets": [
            {
                "cost": budget.cost,
                "lower": budget.lower,
                "upper": budget.upper,
                "unit": table.unit,
                "input_size": table.input_size,
                "step": step,
                "min": table.min,
                "max": table.max,
            }
            for budget, table, step in budgets
        ],
        "costs": {
            table.name: {
                "unit": table.unit,
                "input_size": table.input_size,
                "min": table.min,
                "max": table.max,
            }
            for table in tables
        },
    }


def summary_table(summary: dict[str, Any]) -> str:
    """A `space_summary` as aligned lines."""
    limit = "" if summary["exact"] else "at most "
    lines = [("space", f"{summary['space']}, {summary['blocks']} blocks")]
    lines.append(("architectures", f"{summary['size']:,}"))
    for name, cost in summary["costs"].items():
        size = "" if cost["input_size"] is None else " at " + "x".join(map(str, cost["input_size"]))
        ends = f"{readable(cost['min'])} to {readable(cost['max'])}"
        lines.append((name, f"{ends} {cost['unit']}{size}"))
    for bound in summary["budgets"]:
        budget = Budget(bound["cost"], bound["lower"], bound["upper"])
        step = f", counted in steps of {bound['step']:.3g} {bound['unit']}" if bound["step"] else ""
        lines.append(("budget", f"{budget}{step}"))
    if summary["budgets"]:
        share = f"{summary['share']:.3g} of the space"
        lines.append(("within", f"{limit}{summary['count']:,}, {limit}{share}"))
    if not summary["exact"]:
        lines.append(("", "the budgets are too many to count together: this is of the tightest"))
    return "\n".join(f"  {name:<13}  {value}" for name, value in lines)
