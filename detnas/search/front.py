"""The Pareto front of a history: the best trade-offs between score and costs, of any search."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from detnas.errors import UserError
from detnas.files import write_text
from detnas.search.best import found
from detnas.search.history.records import DONE, SEARCH, Evaluation, read_fingerprint, read_history
from detnas.search.strategies.dominance import nondominated
from search_space.architecture import Architecture

FRONT_FILE = "pareto_front.json"
FORMAT = "detnas-front"
VERSION = 1


def pareto_front(
    evaluations: Iterable[Evaluation],
    objectives: Sequence[str],
    greater_is_better: bool = True,
    role: str = SEARCH,
) -> list[Evaluation]:
    """The evaluations done in `role` that none other dominates, by the first objective.

    Args:
        evaluations: of one history, of whatever strategy.
        objectives: names of costs, minimised beside the score; one or more.
        greater_is_better: whether the score is maximised.
        role: "search", or "random" for the baseline.

    Returns:
        In ascending order of the first objective, then the earlier first. Of those equal in score
        and objectives only the earliest; empty where nothing has a score.

    Raises:
        ValueError: no objective, or one that the history does not have.
    """
    if not objectives:
        raise UserError("a front needs one objective at least beside the score, such as 'macs'")
    done = [e for e in evaluations if e.role == role and e.status == DONE]
    done.sort(key=lambda e: (e.generation, e.position))
    first: dict[tuple[float, ...], Evaluation] = {}
    for evaluation in done:
        first.setdefault(_point(evaluation, objectives, greater_is_better), evaluation)
    if not first:
        return []
    kept = nondominated(np.array(list(first), dtype=float))
    front = [evaluation for evaluation, keep in zip(first.values(), kept, strict=True) if keep]
    return sorted(front, key=lambda e: (e.costs[objectives[0]], e.generation, e.position))


def write_front(
    history: Path | str, path: Path | str, objectives: Sequence[str]
) -> list[Architecture]:
    """Write the front of a history's search as JSON: its architectures and their values.

    Each of "architectures" is what `best_architecture.json` holds of the best one. "values" has
    the score and the objectives of each in the same order, as the search recorded them.

    Args:
        history: a search's `history.db`.
        path: the JSON file to write.
        objectives: names of costs, minimised beside the score.

    Returns:
        The architectures, in the file's order.

    Raises:
        ValueError: there is no such history, it is damaged, nothing in it has a score, or it has
            no such cost.
    """
    fingerprint = read_fingerprint(history)
    front = pareto_front(read_history(history), objectives, fingerprint["greater_is_better"])
    if not front:
        raise UserError(f"{history}: no candidate has a score yet; let the search go on first")
    candidates = found(history, fingerprint, front)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "metric": fingerprint["score"],
        "objectives": list(objectives),
        "values": [
            {"score": e.score, **{name: e.costs[name] for name in objectives}} for e in front
        ],
        "architectures": [candidate.to_dict() for candidate in candidates],
    }
    write_text(path, json.dumps(document, indent=2) + "\n")
    return [candidate.architecture for candidate in candidates]


def _point(
    evaluation: Evaluation, objectives: Sequence[str], greater_is_better: bool
) -> tuple[float, ...]:
    """Score and objectives, each the lower the better."""
    assert evaluation.score is not None
    for name in objectives:
        if name not in evaluation.costs:
            known = ", ".join(evaluation.costs)
            raise UserError(f"the history has no cost {name!r}, only {known}")
    score = -evaluation.score if greater_is_better else evaluation.score
    return (score, *(evaluation.costs[name] for name in objectives))
