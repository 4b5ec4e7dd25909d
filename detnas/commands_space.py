"""What the commands about a space do: its size within budgets, draws from it, and its latency.

`space` and `sample` import neither torch nor OpenMMLab.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detnas.errors import UserError
from search_space.architecture import Architecture
from search_space.budget import Budget, parse_budget, readable
from search_space.cost import CostTable, InputSize, macs_table, params_table
from search_space.latency import NAME, LatencySettings, LatencyTable, load_latency_table
from search_space.sampling import BudgetSampler
from search_space.spaces import SearchSpace, get_space

Options = argparse.Namespace


def space(options: Options) -> None:
    """`detnas space SPACE`."""
    searched, budgets, latency = _read(options)
    sampler = BudgetSampler(searched, budgets, [latency.costs] if latency else None)
    tables = _tables(searched, (3, *options.input_size), latency)
    report = _report(sampler, tables)
    print(json.dumps(report) if options.json else _table(report))


def sample(options: Options) -> None:
    """`detnas sample SPACE`."""
    _at_least(options.n, 1, "-n")
    _at_least(options.seed, 0, "--seed")
    searched, budgets, latency = _read(options)
    sampler = BudgetSampler(searched, budgets, [latency.costs] if latency else None)
    tables = _tables(searched, (3, *options.input_size), latency)
    drawn = sampler.sample(np.random.default_rng(options.seed), options.n).tolist()
    if options.json:
        rows = [{"choices": row, **{t.name: t.of(row) for t in tables}} for row in drawn]
        inputs = {table.name: table.input_size for table in tables if table.input_size}
        print(json.dumps({"space": searched.name, "input_sizes": inputs, "architectures": rows}))
        return
    for row in drawn:
        costs = (f"{readable(table.of(row))} {table.unit}" for table in tables)
        print(f"{Architecture(searched, row).key}  {', '.join(costs)}")


def measure_latency(options: Options) -> None:
    """`detnas measure-latency SPACE -o FILE`."""
    searched = get_space(options.space)
    settings = LatencySettings(
        input_size=(3, *options.input_size),
        batch_size=options.batch_size,
        threads=options.threads,
        dtype=options.dtype,
        memory_format=options.memory_format,
        channel_shuffle=options.channel_shuffle,
        rounds=options.rounds,
        seed=options.seed,
    )
    _check_writable(options.output)
    from detnas.console import table
    from detnas.evaluation.latency import measure_latency as measure
    from detnas.files import write_text

    measured = measure(searched, settings, options.device, _progress())
    write_text(options.output, json.dumps(measured.to_dict(), indent=2) + "\n")
    lines = [
        ("latency", f"{measured.costs.min:.4g} to {measured.costs.max:.4g} ms"),
        ("measured on", measured.conditions),
        ("written", str(options.output)),
    ]
    print(table(lines))


def _read(options: Options) -> tuple[SearchSpace, list[Budget], LatencyTable | None]:
    """Space, budgets and latency table as given; a latency budget is at the table's input size."""
    searched = get_space(options.space)
    latency = None
    if options.latency_table is not None:
        latency = load_latency_table(options.latency_table, searched)
    budgets = []
    for text in options.budget:
        budget = parse_budget(text, (3, *options.input_size))
        if latency and budget.cost == NAME:
            budget = parse_budget(text, latency.settings.input_size)
        budgets.append(budget)
    return searched, budgets, latency


def _tables(
    searched: SearchSpace, input_size: InputSize, latency: LatencyTable | None
) -> list[CostTable]:
    """The costs to tell of an architecture."""
    computed = [macs_table(searched, input_size), params_table(searched)]
    return [*computed, latency.costs] if latency else computed


def _report(sampler: BudgetSampler, tables: Sequence[CostTable]) -> dict[str, Any]:
    """What `detnas space --json` prints; `min` and `max` are those of the first budget's cost."""
    first = sampler.cost_tables[0] if sampler.budgets else tables[0]
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
            for budget, table, step in zip(
                sampler.budgets, sampler.cost_tables, sampler.steps, strict=True
            )
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


def _table(report: dict[str, Any]) -> str:
    """The report as aligned lines."""
    limit = "" if report["exact"] else "at most "
    lines = [("space", f"{report['space']}, {report['blocks']} blocks")]
    lines.append(("architectures", f"{report['size']:,}"))
    for name, cost in report["costs"].items():
        size = "" if cost["input_size"] is None else " at " + "x".join(map(str, cost["input_size"]))
        ends = f"{readable(cost['min'])} to {readable(cost['max'])}"
        lines.append((name, f"{ends} {cost['unit']}{size}"))
    for bound in report["budgets"]:
        budget = Budget(bound["cost"], bound["lower"], bound["upper"])
        step = f", counted in steps of {bound['step']:.3g} {bound['unit']}" if bound["step"] else ""
        lines.append(("budget", f"{budget}{step}"))
    if report["budgets"]:
        share = f"{report['share']:.3g} of the space"
        lines.append(("within", f"{limit}{report['count']:,}, {limit}{share}"))
    if not report["exact"]:
        lines.append(("", "the budgets are too many to count together: this is of the tightest"))
    return "\n".join(f"  {name:<13}  {value}" for name, value in lines)


def _at_least(value: int, least: int, option: str) -> None:
    if value < least:
        raise UserError(f"{option} is {value}, must be at least {least}")


def _check_writable(path: Path) -> None:
    """Refuse, before the work, a file that could not be written after it."""
    if path.is_dir():
        raise UserError(f"-o {path} is a folder: name a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"-o {path}: no right to write into {path.parent}")


def _progress() -> Callable[[int, int], None]:
    """Prints a line on standard error every five seconds."""
    from detnas.console import duration

    start = shown = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if done < total and now - shown < 5:
            return
        shown = now
        left = (now - start) / done * (total - done)
        print(
            f"    latency  round {done}/{total}  {duration(now - start)}, {duration(left)} left",
            file=sys.stderr,
            flush=True,
        )

    return progress
