"""The texts and numbers of the report page that are computed from the history."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from statistics import stdev
from typing import Any

from detnas.report.style import cost_name, readable_cost, readable_score, readable_size
from detnas.search.against_random import are_comparable, mean_score, uniform_draws
from detnas.search.choice_effects import ChoiceEffect, choice_effects
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import DROPPED, FAILED, Evaluation
from search_space.budget import Budget

SIZES = ("macs_input_size", "detector_input_size")
"""Of `summary.json`: height and width in pixels."""
LAST_TIME = 253_402_300_800  # the year 10000, in seconds
NO_BREAK = "\N{NO-BREAK SPACE}"
MIN_DRAWS = 8
"""Fewer random architectures say nothing of single choices."""


@dataclass(frozen=True)
class Outcome:
    """How many of a group of rows are evaluated, failed, dropped and waiting, and their scores.

    `best` and `mean` are None if no row has a score, `deviation` if fewer than two have one or one
    is too large to compute with.
    """

    evaluated: int
    failed: int
    dropped: int
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
    """The effect of each choice in each stage.

    Empty with fewer than eight random architectures, and with scores too large to compute with.
    """
    drawn = [(row.choices, row.score) for row in uniform_draws(search) if row.score is not None]
    if len(drawn) < MIN_DRAWS:
        return []
    choices, scores = zip(*drawn, strict=True)
    if not are_comparable(scores):
        return []
    return choice_effects(search.space, choices, scores, search.greater_is_better)


def effect_text(effects: Sequence[ChoiceEffect], choice: str, stage: int) -> str:
    """The difference of one choice in one stage, with its standard error."""
    for effect in effects:
        if (effect.choice, effect.stage) == (choice, stage) and effect.difference is not None:
            sign = "+" if effect.difference >= 0 else "\N{MINUS SIGN}"
            error = "" if effect.standard_error is None else readable_score(effect.standard_error)
            return (
                f"{sign}{readable_score(abs(effect.difference))}{error and f' ±{NO_BREAK}{error}'}"
            )
    return "\N{EN DASH}"


def _outcome(rows: Sequence[Evaluation], greater_is_better: bool) -> Outcome:
    scores = [row.score for row in rows if row.score is not None]
    best = max if greater_is_better else min
    settled = sum(row.settled for row in rows)
    return Outcome(
        evaluated=settled,
        failed=sum(row.status == FAILED for row in rows),
        dropped=sum(row.status == DROPPED for row in rows),
        waiting=len(rows) - settled,
        best=best(scores) if scores else None,
        mean=mean_score(scores) if scores else None,
        deviation=stdev(scores) if len(scores) > 1 and are_comparable(scores) else None,
    )


def interval_text(interval: tuple[float, float] | None) -> str:
    """An interval of scores, or a dash."""
    if interval is None:
        return "\N{EN DASH}"
    return f"{readable_score(interval[0])} to {readable_score(interval[1])}"


def facts(search: SearchHistory) -> Iterator[str]:
    """What was searched, within which budgets, and the state of the search, as short texts."""
    rows = search.candidates
    yield f"{search.strategy['type']} in the {search.space.name} space"
    yield from map(_budget_text, search.budgets)
    proposed = len({row.generation for row in rows})
    yield f"{counted(len(rows), 'candidate')} in {counted(proposed, 'generation')}"
    if failed := sum(row.status == FAILED for row in rows):
        yield f"{failed} failed"
    if search.dropped:
        yield f"{len(search.dropped)} dropped by racing"
    if waiting := sum(not row.settled for row in search.rows):
        yield f"{waiting} still waiting"
    if search.seed is not None:
        yield f"seed {search.seed}"
    finished = max((row.finished or 0 for row in search.rows), default=0)
    if 0 < finished < LAST_TIME:
        yield f"last result {datetime.fromtimestamp(finished, UTC):%Y-%m-%d %H:%M} UTC"


def _budget_text(budget: Budget) -> str:
    lower = "" if budget.lower is None else f"{readable_cost(budget.cost, budget.lower)} ≤ "
    upper = "" if budget.upper is None else f" ≤ {readable_cost(budget.cost, budget.upper)}"
    return f"{lower}{cost_name(budget.cost)}{_size_of(budget)}{upper}"


def _size_of(budget: Budget) -> str:
    return "" if budget.cost == "params" else f" at {readable_size(*budget.input_size[1:])}"


def cost_names(search: SearchHistory) -> dict[str, str]:
    """The readable names of the costs of a search, with the image size that a budget states."""
    sizes = {budget.cost: _size_of(budget) for budget in search.budgets}
    costs = dict.fromkeys(name for row in search.rows for name in row.costs)
    return {name: f"{cost_name(name)}{sizes.get(name, '')}" for name in costs}


def counted(number: int, what: str) -> str:
    """A number of things: "1 object", "2 objects"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The values of a JSON object as texts, with their dotted names."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _value_text(name, value)


def _value_text(name: str, value: Any) -> str:
    """A value; the size of an image, which files hold as [height, width], as the page says it."""
    if isinstance(value, float):
        return f"{value:.6g}"
    is_size = name in SIZES and isinstance(value, Sequence) and len(value) == 2
    return readable_size(*value) if is_size else str(value)
