"""`detnas space SPACE`: counts the architectures of a space within budgets."""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from detnas.commands import options as shared
from detnas.console import table
from search_space.budget import Budget, readable
from search_space.cost import CostTable, size_text
from search_space.sampling import BudgetSampler


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    shared.add_space(parser)
    shared.add_budgets(parser)


def run(options: shared.Options) -> None:
    """Count, and print the space's size and costs."""
    summary = space_summary(*shared.read_sampler(options))
    print(json.dumps(summary) if options.json else summary_table(summary))


def space_summary(sampler: BudgetSampler, tables: Sequence[CostTable]) -> dict[str, Any]:
    """Counts of the sampler's space and ranges of costs, ready for JSON.

    `costs` describes `tables`. `min` and `max` are the range of `cost`, which is the cost of the
    first budget, or else of the first table.
    """
    first = (*sampler.cost_tables, *tables)[0]
    budgets = zip(sampler.budgets, sampler.cost_tables, sampler.steps, strict=True)
    return {
        "space": sampler.space.name,
        "blocks": sampler.space.num_blocks,
        "size": sampler.space.size,
        "count": sampler.count,
        "share": sampler.share,
        "exact": sampler.exact,
        "cost": first.name,
        **_range(first),
        "budgets": [
            {
                "cost": budget.cost,
                "lower": budget.lower,
                "upper": budget.upper,
                "unit": table.unit,
                "input_size": table.input_size,
                "step": step,
                **_range(table),
            }
            for budget, table, step in budgets
        ],
        "costs": {
            table.name: {"unit": table.unit, "input_size": table.input_size, **_range(table)}
            for table in tables
        },
    }


def _range(table: CostTable) -> dict[str, float]:
    return {"min": table.min, "max": table.max}


def summary_table(summary: dict[str, Any]) -> str:
    """A `space_summary` as aligned lines."""
    limit = "" if summary["exact"] else "at most "
    lines = [("space", f"{summary['space']}, {summary['blocks']} blocks")]
    lines.append(("architectures", f"{summary['size']:,}"))
    for name, cost in summary["costs"].items():
        size = f" at {size_text(cost['input_size'])}" if cost["input_size"] else ""
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
        lines.append(("", "too many budgets to count together: this is the count of the tightest"))
    return table(lines)
