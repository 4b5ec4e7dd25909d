"""Answers another budget from a search's history; finds the candidate that a user names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from detnas.errors import UserError, user_input
from detnas.search.against_random import uniform_draws
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import DONE, RANDOM, SEARCH, Evaluation
from detnas.search.results import named_choices
from search_space.architecture import Choices
from search_space.budget import Budget, parse_budget
from search_space.cost import DEFAULT_INPUT_SIZE

FEW = 10
"""Below so many candidates within a budget, the best one of them says little."""

_PLACE = re.compile(r"(\d{1,9})\.(\d{1,9})", re.ASCII)


@dataclass(frozen=True)
class Pick:
    """The best recorded candidate within budgets.

    Attributes:
        budgets: these budgets.
        best: None if no candidate with a score lies within them.
        within: different architectures with a score that do.
        random: how many of these were drawn uniformly in the search's own budget.
        recorded: different architectures with a score in the history.
    """

    budgets: tuple[Budget, ...]
    best: Evaluation | None
    within: int
    random: int
    recorded: int


def read_budgets(texts: Sequence[str], history: SearchHistory) -> tuple[Budget, ...]:
    """Budgets on costs that a history records, each for the input size that it records them at.

    Args:
        texts: such as "macs=..200e6".
    Raises:
        UserError: another form, a cost that the history does not have, or one cost twice.
    """
    sizes = {budget.cost: budget.input_size for budget in history.budgets}
    known = history.rows[0].costs if history.rows else {}
    budgets: dict[str, Budget] = {}
    for text in texts:
        name = text.partition("=")[0].strip()
        with user_input("--budget"):
            budget = parse_budget(text, sizes.get(name, DEFAULT_INPUT_SIZE))
        if budget.cost not in known:
            listed = ", ".join(known) or "none"
            raise UserError(f"--budget: {history.path} has no cost {budget.cost!r}, only {listed}")
        if budget.cost in budgets:
            raise UserError(f"--budget names {budget.cost} twice: write {budget.cost}=LOWER..UPPER")
        budgets[budget.cost] = budget
    return tuple(budgets.values())


def pick(history: SearchHistory, budgets: Sequence[Budget]) -> Pick:
    """The best recorded candidate of a search, or of its random baseline, within budgets.

    Candidates are ranked as the search ranks them: by score, then by its first cost, then by the
    order of proposal.

    Args:
        budgets: on recorded costs, as `read_budgets` gives them.
    """
    sign = 1.0 if history.greater_is_better else -1.0

    def rank(row: Evaluation) -> tuple[float, float]:
        assert row.score is not None, "rows with a score are ranked"
        return -sign * row.score, next(iter(row.costs.values()))

    def is_within(row: Evaluation) -> bool:
        return all(budget.contains(row.costs[budget.cost]) for budget in budgets)

    done = [*history.ranked(SEARCH), *history.ranked(RANDOM)]
    inside = [row for row in done if is_within(row)]
    random = {row.choices for row in uniform_draws(history) if is_within(row)}
    return Pick(
        tuple(budgets),
        min(inside, key=rank, default=None),
        len({row.choices for row in inside}),
        len(random),
        len({row.choices for row in done}),
    )


def find_candidate(text: str, history: SearchHistory) -> tuple[Choices, Evaluation | None]:
    """The candidate that a user names.

    Args:
        text: "GENERATION.POSITION" as `detnas history` lists them, such as "3.0" (generation 0 is
            the random baseline), or an architecture as `parse_architecture` reads it.
    Returns:
        Its choices, and its evaluation if it has a score.
    Raises:
        UserError: there is no such row, or the architecture is none of the search's space.
    """
    place = _PLACE.fullmatch(text)
    if place is None:
        choices = named_choices(text, history.space, "--architecture")
    else:
        wanted = int(place[1]), int(place[2])
        found = [row.choices for row in history.rows if (row.number, row.position) == wanted]
        if not found:
            raise UserError(
                f"--architecture {text}: {history.path} has no generation {wanted[0]} with a "
                f"position {wanted[1]}; `detnas history` lists them"
            )
        choices = found[0]
    scored = (row for row in history.rows if row.choices == choices and row.status == DONE)
    return choices, next(scored, None)
