"""The Pareto front of score and costs: the best trade-offs among evaluated candidates."""

from collections.abc import Iterable, Sequence

import numpy as np

from detnas.errors import UserError
from detnas.search.history.records import Evaluation
from detnas.search.strategies.dominance import nondominated


def pareto_front(
    done: Iterable[Evaluation], objectives: Sequence[str], greater_is_better: bool = True
) -> list[Evaluation]:
    """The evaluations that no other one dominates, by the first objective.

    Args:
        done: evaluations of one history that have a score, of any strategy.
        objectives: names of costs, minimised beside the score; one or more.
        greater_is_better: whether the score is maximised.

    Returns:
        In ascending order of the first objective, then by their proposal. Of evaluations equal in
        score and objectives only the earliest.

    Raises:
        UserError: no objective, or one that the history does not have.
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
    """Score and objectives, each the lower the better."""
    assert row.score is not None
    for name in objectives:
        if name not in row.costs:
            raise UserError(f"the history has no cost {name!r}, only {', '.join(row.costs)}")
    return (-row.score if greater_is_better else row.score, *(row.costs[n] for n in objectives))
