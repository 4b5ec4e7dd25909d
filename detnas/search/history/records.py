"""The rows of a search's history as values."""

import json
import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from detnas.search.ranking import RankKey, rank_key
from search_space.architecture import Choices, choices_from_text

SEARCH = "search"
RANDOM = "random"

PROPOSED = "proposed"
RUNNING = "running"
DONE = "done"
FAILED = "failed"
DROPPED = "dropped"
"""By racing (`detnas.search.racing`): it has scores on shares of the split, none on the whole."""

MIN_OUTAGE = 4
"""If all of at least this many candidates of a generation fail, it counts as an outage."""

LATEST = 1e11
"""Seconds since 1970 that no row is later than."""
LARGEST = 1e300
"""Of costs."""

FINGERPRINT = "fingerprint"
"""Key of the fingerprint in the table `meta`; see `fingerprint.py`."""


@dataclass(frozen=True)
class Evaluation:
    """One candidate of a search.

    Attributes:
        id: key of the row.
        role: "search", or "random" for the random baseline.
        generation: from 0; 0 in the baseline. Whatever is shown counts from 1: `number`.
        position: index in the generation, in the order proposed.
        choices: one block choice per block.
        status: "proposed", "running", "done", "failed", or "dropped" by racing.
        score: the evaluator's value; None unless done.
        metrics: all the evaluator's metrics; None for a value that was not finite.
        costs: by name; the first one breaks ties in score.
        error: "Type: message" of the last try, None unless failed.
        attempts: tries started, including those that the end of a process cut short.
        worker: the worker that evaluated it, as "host:pid"; "local" for the search's own process.
        proposed: time of the proposal in seconds since 1970 (UTC); None in a history of version 1.
        started: time at which its last try started.
        finished: time of its result.
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
    def number(self) -> int:
        """Of the generation, from 1; 0 in the baseline."""
        return self.generation + 1 if self.role == SEARCH else 0

    @property
    def settled(self) -> bool:
        """Whether the evaluation has its result: done, failed or dropped."""
        return self.status in (DONE, FAILED, DROPPED)


def read_rows(connection: sqlite3.Connection) -> list[Evaluation]:
    """All evaluations of an open history in order of generation, the baseline last."""
    rows = connection.execute(
        "SELECT * FROM evaluations ORDER BY role = ? DESC, generation, position", (SEARCH,)
    )
    return [evaluation_from_row(row) for row in rows]


def recorded_fingerprint(connection: sqlite3.Connection) -> dict[str, Any]:
    """The fingerprint in an open history; ValueError if it has none that can be read."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (FINGERPRINT,)).fetchone()
    if row is None:
        raise ValueError("it has no settings")
    return msgspec.json.decode(row["value"], type=dict[str, Any])


def evaluation_from_row(row: sqlite3.Row) -> Evaluation:
    """Decode a row of the table `evaluations`; ValueError if its values are of another kind."""
    values = {"proposed": None, **dict(row)}
    values.pop("checksum", None)
    values["choices"] = choices_from_text(values["choices"])
    values["metrics"] = json.loads(values["metrics"])
    values["costs"] = json.loads(values["costs"])
    msgspec.convert(values, Evaluation)  # it would make floats of whole costs
    evaluation = Evaluation(**values)
    times = (evaluation.proposed, evaluation.started, evaluation.finished)
    if not all(time is None or 0 <= time < LATEST for time in times):
        raise ValueError(f"row {evaluation.id} has the times {times}")
    if evaluation.score is not None and not math.isfinite(evaluation.score):
        raise ValueError(f"row {evaluation.id} has the score {evaluation.score}")
    if not evaluation.costs or not all(abs(cost) < LARGEST for cost in evaluation.costs.values()):
        raise ValueError(f"row {evaluation.id} has the costs {evaluation.costs}")
    return evaluation


def failed_together(evaluations: Sequence[Evaluation]) -> bool:
    """Whether a whole generation failed, which points to an outage rather than its candidates."""
    return len(evaluations) >= MIN_OUTAGE and all(e.status == FAILED for e in evaluations)


def ranked(
    evaluations: Iterable[Evaluation], greater_is_better: bool = True, role: str = SEARCH
) -> list[Evaluation]:
    """The evaluations of `role` that have a score, the best first."""
    sign = 1.0 if greater_is_better else -1.0

    def key(row: Evaluation) -> RankKey:
        assert row.score is not None, "a finished evaluation has a score"
        return rank_key(sign * row.score, row.costs, (row.generation, row.position))

    return sorted((e for e in evaluations if e.role == role and e.status == DONE), key=key)


def best_of(
    evaluations: Iterable[Evaluation], greater_is_better: bool = True, role: str = SEARCH
) -> Evaluation | None:
    """The first of `ranked`; None if no evaluation of `role` has a score."""
    return next(iter(ranked(evaluations, greater_is_better, role)), None)
