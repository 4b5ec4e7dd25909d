"""The Pareto front of score and costs: the best trade-offs among evaluated candidates."""

from collections.abc import Iterable, Sequence

import numpy as np

from detnas.errors import UserError
from detnas.search.history.records import Evaluation
from detnas.search.strategies.dominance import nondominated


def pareto_front(
    done: Iterable[Evaluation], objectives: Sequence[str], greater_is_better: bool = True
) -> list[Evaluation]:
    """The evaluations that no other one dominates, sorted by the first objective.

    Args:
        done: evaluations with a score, of one history and any strategy.
        objectives: names of the costs to minimise besides the score; one or more.
        greater_is_better: whether the score is maximised.

    Returns:
        Ascending by the first objective, then in the order proposed. Of evaluations with equal
        score and objectives only the first.

    Raises:
        UserError: there is no objective, or the history does not have it.
    """
    if not objectives:
        raise UserError("a front needs at least one cost besides the score, such as 'macs'")
    first: dict[tuple[float, ...], Evaluation] = {}
    for row in sorted(done, key=lambda row: (row.generation, row.position)):
        first.setdefault(_point(row, objectives, greater_is_better), row)
    if not first:
        return []
    kept = nondominated(np.array(list(first), dtype=float))
    front = [row for row, keep in zip(first.values(), kept, strict=True) if keep]
    return sorted(front, key=lambda row: (row.costs[objectives[0]], row.generation, row.position))


def _point(
    row: Evaluation, objectives: Sequence[str], greater_is_better: bool
) -> tuple[float, ...]:
    """Score and objectives; lower is better."""
    assert row.score is not None
    for name in objectives:
        if name not in row.costs:
            raise UserError(f"the history has no cost {name!r}, only {', '.join(row.costs)}")
    return (-row.score if greater_is_better else row.score, *(row.costs[n] for n in objectives))
