"""The rows of a search's history as values, read without a lock, and which is the best."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detnas.search.history.file import open_checked

SEARCH = "search"
RANDOM = "random"

PROPOSED = "proposed"
RUNNING = "running"
DONE = "done"
FAILED = "failed"

FEWEST_TOGETHER = 4
"""Candidates of a generation that have to fail before the search ends for it."""

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
    choices: tuple[int, ...]
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


def read_history(path: str | Path) -> list[Evaluation]:
    """All evaluations of a history, finished or not, while it is written or not.

    Raises:
        ValueError: there is none, it is damaged, or its version is unknown.
    """
    with closing(open_checked(Path(path), "ro")) as connection:
        return read_rows(connection)


def read_fingerprint(path: str | Path) -> dict[str, Any]:
    """What the search of a history depends on; errors as `read_history`."""
    with closing(open_checked(Path(path), "ro")) as connection:
        return recorded_fingerprint(connection)


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


def choices_to_text(choices: Iterable[int]) -> str:
    """Choices as the command line takes them: "2,1,2,0"."""
    return ",".join(map(str, choices))


def choices_from_text(text: str) -> tuple[int, ...]:
    """The reverse of `choices_to_text`."""
    return tuple(map(int, text.split(",")))


def failed_together(evaluations: Sequence[Evaluation]) -> bool:
    """Whether a generation failed as a whole, which is hardly its candidates' doing."""
    return len(evaluations) >= FEWEST_TOGETHER and all(e.status == FAILED for e in evaluations)


def best_of(
    evaluations: Iterable[Evaluation], greater_is_better: bool = True, role: str = SEARCH
) -> Evaluation | None:
    """The best evaluation done in `role`, None where there is none.

    The better score wins, then the lower first cost, then the earlier proposal, as in the search.
    """

    def rank_key(evaluation: Evaluation) -> tuple[float, float, int, int]:
        assert evaluation.score is not None
        score = -evaluation.score if greater_is_better else evaluation.score
        cost = next(iter(evaluation.costs.values()))
        return (score, cost, evaluation.generation, evaluation.position)

    done = (e for e in evaluations if e.role == role and e.status == DONE)
    return min(done, key=rank_key, default=None)
