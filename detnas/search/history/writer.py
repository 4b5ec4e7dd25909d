"""Writes the history of a search: one SQLite file, its only checkpoint, with one writer at a time.

The proposals of a generation are one transaction, and so is each result. A transaction is synced
to the disk before the search continues. `reading` reads a history, even during a search.
"""

import json
import logging
import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from detnas.errors import UserError
from detnas.search.history.file import (
    HistoryWriteError,
    backup_path,
    create_file,
    damaged,
    open_checked,
    require_history,
    write_backup,
)
from detnas.search.history.fingerprint import check_fingerprint, normalised
from detnas.search.history.journal import enable_wal, leave_wal, lock_history
from detnas.search.history.records import (
    DONE,
    DROPPED,
    FAILED,
    FINGERPRINT,
    PROPOSED,
    RUNNING,
    SEARCH,
    Evaluation,
    evaluation_from_row,
    failed_together,
    read_rows,
    recorded_fingerprint,
)
from search_space.architecture import choices_to_text

logger = logging.getLogger(__name__)


class History:
    """The open history of a search, from `create` or `open`; a context manager.

    Writing raises `HistoryWriteError` if the file cannot be written; earlier records are safe.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: IO[str]) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        enable_wal(connection, path)

    @classmethod
    def create(cls, path: str | Path, fingerprint: Mapping[str, Any]) -> "History":
        """Create the history of a new search.

        Args:
            path: the file to create, usually WORK_DIR/history.db; its directory must exist.
            fingerprint: all settings that affect scores or proposals, as JSON values.

        Raises:
            UserError: the file exists, or another search is creating it.
        """
        path = Path(path)
        with _lock_or_release(path) as lock:
            if path.exists():
                raise UserError(
                    f"{path} already exists; resume it with --resume, "
                    f"or search in another work directory"
                )
            create_file(path, {FINGERPRINT: normalised(fingerprint), "created": time.time()})
            return cls(path, open_checked(path, "rw"), lock)

    @classmethod
    def open(
        cls, path: str | Path, fingerprint: Mapping[str, Any], retry_failed: bool = False
    ) -> "History":
        """Open the history of an interrupted search, or of one to extend by more generations.

        Candidates that were running become "proposed" again. So do all candidates of the last
        generation if all of them failed, and all candidates if every one failed: the strategy has
        learnt nothing from them, and the cause may be fixed by now. Where some have failed and none
        has a score, other settings or data are accepted: the search then begins anew in the file.

        Args:
            path: of the file.
            fingerprint: as for `create`.
            retry_failed: all that failed becomes "proposed" again; for a search this would change
                what its strategy has learnt.

        Raises:
            UserError: the file does not exist, its version is unknown, another search writes it,
                or its fingerprint differs in more than a higher number of generations and it has
                a score.
            DamagedHistoryError: the file is damaged.
        """
        path = Path(path)
        require_history(path)  # before the lock file is created
        with _lock_or_release(path) as lock:
            connection = open_checked(path, "rw")
            try:
                history = cls(path, connection, lock)
                history._continue(normalised(fingerprint), retry_failed)
            except BaseException:
                connection.close()
                raise
            return history

    def _continue(self, fingerprint: Mapping[str, Any], retry_failed: bool) -> None:
        with self._transaction() as execute:
            recorded = recorded_fingerprint(self._connection)
            statuses = {row[0] for row in execute("SELECT DISTINCT status FROM evaluations")}
            if DONE in statuses or FAILED not in statuses:
                check_fingerprint(self.path, recorded, fingerprint)
            elif recorded != fingerprint:
                logger.info("no candidate has a score: the search begins anew, with what changed")
                execute("DELETE FROM evaluations")
            execute("UPDATE meta SET value = ? WHERE key = ?", json.dumps(fingerprint), FINGERPRINT)
            execute("UPDATE evaluations SET status = ? WHERE status = ?", PROPOSED, RUNNING)
            if retry_failed or statuses == {FAILED}:
                execute(
                    "UPDATE evaluations SET status = ?, error = NULL WHERE status = ?",
                    *(PROPOSED, FAILED),
                )
            last = execute("SELECT MAX(generation) FROM evaluations WHERE role = ?", SEARCH)
            number = last.fetchone()[0]
            if number is not None and failed_together(self.generation(number)):
                execute(
                    "UPDATE evaluations SET status = ?, error = NULL "
                    "WHERE role = ? AND generation = ?",
                    *(PROPOSED, SEARCH, number),
                )

    def close(self) -> None:
        """Close the file and release the lock; a second call does nothing."""
        if self._lock.closed:
            return
        leave_wal(self._connection)
        self._connection.close()
        self._lock.close()

    def __enter__(self) -> "History":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def record_generation(
        self,
        generation: int,
        candidates: Sequence[tuple[Sequence[int], Mapping[str, float]]],
        role: str = SEARCH,
        first_position: int = 0,
    ) -> None:
        """Record proposals as (choices, costs) in their order, in one transaction.

        Args:
            generation: from 0.
            candidates: the first of the costs breaks ties in score.
            role: "search", or "random" for the baseline.
            first_position: position of the first one, after those recorded earlier.
        """
        now = time.time()
        with self._transaction() as execute:
            for position, (choices, costs) in enumerate(candidates, first_position):
                execute(
                    "INSERT INTO evaluations "
                    "(role, generation, position, choices, status, costs, proposed) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    *(role, generation, position, choices_to_text(choices), PROPOSED),
                    *(json.dumps(costs), now),
                )

    def mark_running(self, key: int, worker: str) -> None:
        """Record that `worker` starts a try of evaluation `key`."""
        self._update(
            key,
            "status = ?, worker = ?, started = ?, attempts = attempts + 1",
            *(RUNNING, worker, time.time()),
        )

    def record_done(self, key: int, score: float, metrics: Mapping[str, float | None]) -> None:
        """Record the finite score and all the metrics of evaluation `key`."""
        self._update(
            key,
            "status = ?, score = ?, metrics = ?, finished = ?",
            *(DONE, float(score), _metrics_json(metrics), time.time()),
        )

    def record_dropped(self, key: int, metrics: Mapping[str, float | None]) -> None:
        """Record that racing dropped evaluation `key`, and its metrics on shares of the split."""
        self._update(
            key,
            "status = ?, metrics = ?, finished = ?",
            *(DROPPED, _metrics_json(metrics), time.time()),
        )

    def record_failed(self, key: int, error: str) -> None:
        """Record why evaluation `key` has no score."""
        self._update(key, "status = ?, error = ?, finished = ?", *(FAILED, error, time.time()))

    def generation(self, generation: int, role: str = SEARCH) -> list[Evaluation]:
        """A generation's evaluations in the order proposed; empty if it is not recorded."""
        rows = self._connection.execute(
            "SELECT * FROM evaluations WHERE role = ? AND generation = ? ORDER BY position",
            (role, generation),
        )
        return [evaluation_from_row(row) for row in rows]

    def evaluation(self, key: int) -> Evaluation:
        """One evaluation by its id."""
        query = "SELECT * FROM evaluations WHERE id = ?"
        return evaluation_from_row(self._connection.execute(query, (key,)).fetchone())

    def rows(self) -> list[Evaluation]:
        """All evaluations in order of generation, the baseline last."""
        return read_rows(self._connection)

    def backup(self) -> None:
        """Copy the history to its backup file; only the user ever restores it.

        A backup that cannot be written is logged as a warning; the one before it stays.
        """
        try:
            write_backup(self._connection, self.path)
        except (sqlite3.OperationalError, OSError) as error:
            logger.warning("%s cannot be written (%s); continuing", backup_path(self.path), error)

    def _update(self, key: int, assignments: str, *values: object) -> None:
        with self._transaction() as execute:
            cursor = execute(
                f"UPDATE evaluations SET {assignments} WHERE id = ? AND status IN (?, ?)",
                *(*values, key, PROPOSED, RUNNING),
            )
            assert cursor.rowcount == 1, f"evaluation {key} is not waiting for a result"

    @contextmanager
    def _transaction(self) -> Iterator[Callable[..., sqlite3.Cursor]]:
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield lambda statement, *values: self._connection.execute(statement, values)
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.OperationalError):  # SQLite may have rolled back by itself
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:
            raise HistoryWriteError(
                f"{self.path} cannot be written ({error}); its contents are safe: "
                f"fix that, then resume with --resume"
            ) from error
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.IntegrityError):
                raise  # a mistake of the program
            raise damaged(self.path, error) from error


def _metrics_json(metrics: Mapping[str, float | None]) -> str:
    """Metrics as the history keeps them: None for a value that is not finite."""
    finite = {
        name: None if value is None or not math.isfinite(value) else float(value)
        for name, value in metrics.items()
    }
    return json.dumps(finite)


@contextmanager
def _lock_or_release(path: Path) -> Iterator[IO[str]]:
    """The writer's lock; released if the block raises."""
    lock = lock_history(path)
    try:
        yield lock
    except BaseException:
        lock.close()
        raise
