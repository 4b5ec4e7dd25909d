"""The rows of a search's history as values."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detnas.search.ranking import RankKey, rank_key
from search_space.architecture import Choices, choices_from_text

SEARCH = "search"
RANDOM = "random"

PROPOSED = "proposed"
RUNNING = "running"
DONE = "done"
FAILED = "failed"

MIN_OUTAGE = 4
"""A generation of at least so many candidates that all fail is taken for an outage."""

FINGERPRINT = "fingerprint"
"""Key of the table `meta`: what the search depends on; see `fingerprint`."""


@dataclass(frozen=True)
class Evaluation:
    """One candidate of a search.

    Attributes:
        id: key of the row.
        role: "search", or "random" for the baseline that the search is compared with.
        generation: from 0; 0 in the baseline.
        position: place in the generation, from 0, in the order proposed.
        choices: one block choice per block.
        status: "proposed", "running", "done" or "failed".
        score: as the evaluator gave it; None unless done.
        metrics: all the evaluator's metrics; None for one that was not finite.
        costs: by name, the one that breaks ties of score first.
        error: "Type: message" of the last try, None unless failed.
        attempts: tries begun, those cut short by the end of the process among them.
        worker: who evaluated it, as "host:pid"; "local" for the search's own process.
        proposed: when, in seconds since 1970 (UTC); None in a history of version 1.
        started: when its last try began.
        finished: when its result came.
    """

    id: int
    role: str
    generation: int
    position: int
    choices: Choices
    status: str
    score: float | None
    metrics: Mapping[str, float | None]
    costs: Mapping[str, float]
    error: str | None
    attempts: int
    worker: str | None
    proposed: float | None
    started: float | None
    finished: float | None

    @property
    def settled(self) -> bool:
        """Whether nothing is left to evaluate."""
        return self.status in (DONE, FAILED)


def read_rows(connection: sqlite3.Connection) -> list[Evaluation]:
    """All evaluations of an open history, generation by generation, the baseline's last."""
    rows = connection.execute(
        "SELECT * FROM evaluations ORDER BY role = ? DESC, generation, position", (SEARCH,)
    )
    return [evaluation_from_row(row) for row in rows]


def recorded_fingerprint(connection: sqlite3.Connection) -> dict[str, Any]:
    """The fingerprint in an open history."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (FINGERPRINT,)).fetchone()
    return dict(json.loads(row["value"]))


def evaluation_from_row(row: sqlite3.Row) -> Evaluation:
    """Decode a row of the table `evaluations`."""
    values = {"proposed": None, **dict(row)}
    values["choices"] = choices_from_text(values["choices"])
    values["metrics"] = json.loads(values["metrics"])
    values["costs"] = json.loads(values["costs"])
    return Evaluation(**values)


def failed_together(evaluations: Sequence[Evaluation]) -> bool:
    """Whether a whole generation failed, which points to an outage and not to its candidates."""
    return len(evaluations) >= MIN_OUTAGE and all(e.status == FAILED for e in evaluations)


def ranked(
    evaluations: Iterable[Evaluation], greater_is_better: bool = True, role: str = SEARCH
) -> list[Evaluation]:
    """The evaluations of `role` that have a score, the best first."""
    sign = 1.0 if greater_is_better else -1.0

    def key(row: Evaluation) -> RankKey:
        assert row.score is not None, "an evaluation that is done has a score"
        return rank_key(sign * row.score, row.costs, (row.generation, row.position))

    return sorted((e for e in evaluations if e.role == role and e.status == DONE), key=key)


def best_of(
    evaluations: Iterable[Evaluation], greater_is_better: bool = True, role: str = SEARCH
) -> Evaluation | None:
    """The first of `ranked`; None where no evaluation of `role` has a score."""
    return next(iter(ranked(evaluations, greater_is_better, role)), None)
