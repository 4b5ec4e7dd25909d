"""The texts and numbers of the report page that are computed from the history."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from statistics import fmean, stdev
from typing import Any

from detnas.report.style import TIMES, cost_name, readable_cost
from detnas.search.against_random import uniform_draws
from detnas.search.choice_effects import ChoiceEffect, choice_effects
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import FAILED, Evaluation
from search_space.budget import Budget

MIN_DRAWS = 8
"""Fewer random architectures say nothing of single choices."""


@dataclass(frozen=True)
class Outcome:
    """How many of a group of rows are evaluated, failed and waiting, and their scores.

    `best` and `mean` are None if no row has a score, `deviation` if fewer than two have one.
    """

    evaluated: int
    failed: int
    waiting: int
    best: float | None
    mean: float | None
    deviation: float | None


def generations(search: SearchHistory) -> dict[int, Outcome]:
    """The outcome of each generation by its number, from 1."""
    grouped = groupby(search.candidates, lambda row: row.number)
    return {number: _outcome(list(rows), search.greater_is_better) for number, rows in grouped}


def comparison(search: SearchHistory) -> dict[str, Outcome]:
    """The outcome of the search, of its first generation and of its random baseline."""
    first = [row for row in search.candidates if row.generation == 0]
    groups = {"search": search.candidates, "its first generation": first}
    if search.baseline:
        groups["random baseline"] = search.baseline
    return {name: _outcome(rows, search.greater_is_better) for name, rows in groups.items()}


def effects(search: SearchHistory) -> list[ChoiceEffect]:
    """The effect of each choice in each stage; empty with fewer than eight random architectures."""
    drawn = [(row.choices, row.score) for row in uniform_draws(search) if row.score is not None]
    if len(drawn) < MIN_DRAWS:
        return []
    choices, scores = zip(*drawn, strict=True)
    return choice_effects(search.space, choices, scores, search.greater_is_better)


def effect_text(effects: Sequence[ChoiceEffect], choice: str, stage: int) -> str:
    """The difference of one choice in one stage, with its standard error."""
    for effect in effects:
        if (effect.choice, effect.stage) == (choice, stage) and effect.difference is not None:
            sign = "+" if effect.difference >= 0 else "\N{MINUS SIGN}"
            error = "" if effect.standard_error is None else f" ± {effect.standard_error:.4f}"
            return f"{sign}{abs(effect.difference):.4f}{error}"
    return "\N{EN DASH}"


def _outcome(rows: Sequence[Evaluation], greater_is_better: bool) -> Outcome:
    scores = [row.score for row in rows if row.score is not None]
    best = max if greater_is_better else min
    settled = sum(row.settled for row in rows)
    return Outcome(
        evaluated=settled,
        failed=sum(row.status == FAILED for row in rows),
        waiting=len(rows) - settled,
        best=best(scores) if scores else None,
        mean=fmean(scores) if scores else None,
        deviation=stdev(scores) if len(scores) > 1 else None,
    )


def interval_text(interval: tuple[float, float] | None) -> str:
    """An interval of scores, or a dash."""
    if interval is None:
        return "\N{EN DASH}"
    return f"{interval[0]:.4f} to {interval[1]:.4f}"


def facts(search: SearchHistory) -> Iterator[str]:
    """What was searched, within which budgets, and the state of the search, as short texts."""
    rows = search.candidates
    yield f"{search.strategy['type']} in the {search.space.name} space"
    yield from map(_budget_text, search.budgets)
    proposed = len({row.generation for row in rows})
    yield f"{_count(len(rows), 'candidate')} in {_count(proposed, 'generation')}"
    if failed := sum(row.status == FAILED for row in rows):
        yield f"{failed} failed"
    if waiting := sum(not row.settled for row in search.rows):
        yield f"{waiting} still waiting"
    if search.seed is not None:
        yield f"seed {search.seed}"
    if finished := max((row.finished or 0 for row in search.rows), default=0):
        yield f"last result {datetime.fromtimestamp(finished, UTC):%Y-%m-%d %H:%M} UTC"


def _budget_text(budget: Budget) -> str:
    lower = "" if budget.lower is None else f"{readable_cost(budget.cost, budget.lower)} ≤ "
    upper = "" if budget.upper is None else f" ≤ {readable_cost(budget.cost, budget.upper)}"
    _, height, width = budget.input_size
    size = "" if budget.cost == "params" else f" at {width}{TIMES}{height}"
    return f"{lower}{cost_name(budget.cost)}{size}{upper}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The values of a JSON object as texts, with their dotted names."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", f"{value:.6g}" if isinstance(value, float) else str(value)
