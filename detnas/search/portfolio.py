"""Networks to choose from: the Pareto front of a search, filled up or thinned out; their lists."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detnas.search.front import pareto_front
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import DONE, SEARCH, Evaluation
from search_space.architecture import choices_to_text, macs, params

LIST_FORMAT = "detnas-networks"
LIST_VERSION = 1
AT_MOST = 50
AT_LEAST = 10
"""Networks to choose from, where the search has as many."""


@dataclass(frozen=True)
class Selected:
    """A candidate to export.

    Attributes:
        row: its evaluation.
        layer: 0 on the front, 1 on the front of those that are not on it, and so on.
    """

    row: Evaluation
    layer: int

    @property
    def on_front(self) -> bool:
        """Whether no other candidate dominates it."""
        return self.layer == 0


def select_networks(
    history: SearchHistory, costs: Sequence[str], at_most: int = AT_MOST, at_least: int = AT_LEAST
) -> list[Selected]:
    """The front of score and costs, and near it as many candidates as are missing.

    The range of the first cost is divided into `at_least` equal steps. Candidates off the front
    are added one by one, each in the step with the fewest networks: that of the lowest layer, then
    of the best score. A front of more than `at_most` is thinned out evenly, and keeps its ends and
    the candidate with the best score.

    Args:
        history: of a search; its random baseline is left out.
        costs: names of the costs to minimise besides the score.
    Returns:
        Ascending by the first cost; fewer than `at_least` where the search has fewer.
    Raises:
        UserError: no candidate has a score, or the history has no such cost.
    """
    history.require_best()
    rows = [row for row in history.rows if row.role == SEARCH and row.status == DONE]
    front = pareto_front(rows, costs, history.greater_is_better)
    if len(front) >= min(at_least, at_most):
        chosen = [Selected(row, 0) for row in _thinned(front, at_most, history)]
    else:
        chosen = _filled_up(history, rows, costs, min(at_least, at_most))
    first = costs[0]
    return sorted(chosen, key=lambda each: (each.row.costs[first], _rank(each, history)))


def _rank(each: Selected, history: SearchHistory) -> tuple[float, ...]:
    assert each.row.score is not None
    sign = 1.0 if history.greater_is_better else -1.0
    return (each.layer, -sign * each.row.score, each.row.id)


def _thinned(front: list[Evaluation], n: int, history: SearchHistory) -> list[Evaluation]:
    if len(front) <= n:
        return front
    best = front.index(min(front, key=lambda row: _rank(Selected(row, 0), history)))
    places = np.linspace(0, len(front) - 1, n).round().astype(int) if n > 1 else np.array([best])
    if best not in places:
        places[np.abs(places - best).argmin()] = best
    return [front[place] for place in places]


def _filled_up(
    history: SearchHistory, rows: Sequence[Evaluation], costs: Sequence[str], n: int
) -> list[Selected]:
    layers = _layers(rows, costs, n, history.greater_is_better)
    values = [each.row.costs[costs[0]] for each in layers]
    width = (max(values) - min(values)) / n or 1.0

    def step(each: Selected) -> int:
        return min(math.floor((each.row.costs[costs[0]] - min(values)) / width), n - 1)

    chosen = [each for each in layers if each.on_front]
    others = [each for each in layers if not each.on_front]
    left = sorted(others, key=lambda each: _rank(each, history))
    while left and len(chosen) < n:
        taken = [step(each) for each in chosen]
        nearest = min(left, key=lambda each: taken.count(step(each)))  # the first of equals
        left.remove(nearest)
        chosen.append(nearest)
    return chosen


def _layers(
    rows: Sequence[Evaluation], costs: Sequence[str], n: int, greater_is_better: bool
) -> list[Selected]:
    """The rows by front; all that are beyond the n-th front count as of one."""
    found: list[Selected] = []
    left = list(rows)
    for layer in range(n):
        front = pareto_front(left, costs, greater_is_better)
        found += [Selected(row, layer) for row in front]
        ids = {row.id for row in front}
        left = [row for row in left if row.id not in ids]
    return found + [Selected(row, n) for row in left]


@dataclass(frozen=True)
class Listed:
    """An exported network in the lists of an export.

    Attributes:
        selected: the candidate.
        folder: its name.
        exported: the score of what was written; None if it has none.
    """

    selected: Selected
    folder: str
    exported: float | None


def network_records(history: SearchHistory, listed: Sequence[Listed]) -> list[dict[str, Any]]:
    """One record per network: folder, whether it is on the front, choices, costs, both scores."""
    records = []
    for each in listed:
        row = each.selected.row
        architecture = history.architecture(row)
        computed = {"macs": macs(architecture), "params": params(architecture)}
        records.append(
            {
                "folder": each.folder,
                "on_front": each.selected.on_front,
                "choices": choices_to_text(row.choices),
                **computed,
                **row.costs,
                "search_score": row.score,
                "exported_score": each.exported,
            }
        )
    return records


def networks_json(history: SearchHistory, costs: Sequence[str], records: Sequence[Any]) -> str:
    """The records as a JSON document."""
    document = {
        "format": LIST_FORMAT,
        "version": LIST_VERSION,
        "metric": history.score_name,
        "objectives": list(costs),
        "networks": list(records),
    }
    return json.dumps(document, indent=2) + "\n"


def networks_csv(records: Sequence[dict[str, Any]]) -> str:
    """The records as CSV, with a column for every cost."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def networks_table(records: Sequence[dict[str, Any]]) -> str:
    """Aligned columns; a star marks the networks on the front."""
    head = f"{'':<3}{'MACs':>15}{'params':>12}{'search':>10}{'exported':>10}  choices"
    return "\n".join([head, *map(_line, records)])


def _line(record: dict[str, Any]) -> str:
    exported = record["exported_score"]
    shown = "none" if exported is None else f"{exported:.5f}"
    mark = "*" if record["on_front"] else ""
    return (
        f"{mark:<3}{record['macs']:>15,.0f}{record['params']:>12,.0f}"
        f"{record['search_score']:>10.5f}{shown:>10}  {record['choices']}"
    )
