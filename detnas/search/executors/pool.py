"""Distributes candidates to workers: a queue, retries, time limits.

`Workers` starts workers, replaces those that end and carries messages; `PoolExecutor` decides which
worker evaluates what, and when a candidate has failed. It knows neither processes nor Ray.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from detnas.search.executors.base import Job, JobResult, OnResult, OnStart, ScoreReader
from detnas.search.executors.worker import Outcome, Started

logger = logging.getLogger(__name__)

MAX_LOSSES = 5  # a candidate fails if this many workers end while evaluating it
MAX_ERRORS_IN_A_ROW = 3  # a worker with this many errors in a row is replaced


@dataclass(frozen=True)
class Lost:
    """A worker that had started has ended. If it is started again, a `Started` follows."""

    reason: str


Event = tuple[int, Started | Outcome | Lost]
"""A worker's number and what happened to it."""


class Workers(Protocol):
    """Workers by number. Each evaluates at most one candidate at a time."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None:
        """End all workers at once, busy or not."""

    def send(self, worker: int, job: Job) -> None:
        """Give a candidate to a started worker. A worker that has ended is reported as `Lost`."""

    def wait(self, seconds: float) -> list[Event]:
        """What has happened since the last call, waiting at most `seconds` for the first event.

        Raises:
            ExecutorError: no worker is left, and none can be started.
        """

    def replace(self, worker: int) -> None:
        """End a worker, without a `Lost`, and start another."""


@dataclass
class _Task:
    job: Job
    failed_on: list[int] = field(default_factory=list)  # a worker for each failed try
    losses: int = 0
    deadline: float = 0.0  # of the current try, by time.monotonic()


class PoolExecutor:
    """Evaluates on workers.

    Args:
        workers: entered and left with the executor.
        score: the key of the metrics that ranks candidates.
        attempts: tries of a candidate before it counts as failed.
        timeout: seconds for one try; a worker that takes longer is replaced.
        has_scored: whether the metrics are known to have the score.
        finish: called after all workers have ended.
    """

    def __init__(
        self,
        workers: Workers,
        score: str,
        attempts: int,
        timeout: float,
        has_scored: bool = False,
        finish: Callable[[], None] | None = None,
    ) -> None:
        self._workers = workers
        self._finish = finish
        self._reader = ScoreReader(score, has_scored)
        self._attempts = attempts
        self._timeout = timeout
        self._names: dict[int, str] = {}  # of the workers that have started
        self._errors_in_a_row: dict[int, int] = {}
        self.notes: Sequence[str] = ()

    def __enter__(self) -> Self:
        self._workers.__enter__()
        try:
            while not self._names:
                self._update_names(self._workers.wait(1.0))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._workers.__exit__(*error)
        finally:
            if self._finish is not None:
                self._finish()

    def run(self, jobs: Sequence[Job], on_start: OnStart, on_result: OnResult) -> None:
        """See `Executor.run`."""
        waiting = deque(_Task(job) for job in jobs)
        running: dict[int, _Task] = {}
        while waiting or running:
            for worker in sorted(self._names.keys() - running.keys()):
                task = self._take(waiting, worker)
                if task is None:
                    continue
                on_start(task.job.id, self._names[worker])
                running[worker] = task
                task.deadline = time.monotonic() + self._timeout
                self._workers.send(worker, task.job)
            for worker, outcome in self._outcomes(running).items():
                task = running.pop(worker)
                result = self._result(task, worker, outcome)
                self._watch(worker, failed=result is None or result.error is not None)
                if result is None:
                    waiting.append(task)
                else:
                    on_result(result)

    def _take(self, waiting: "deque[_Task]", worker: int) -> _Task | None:
        """The next task for a worker; one that failed on it is for another, if there is one."""
        for task in waiting:
            if worker not in task.failed_on or self._names.keys() <= set(task.failed_on):
                waiting.remove(task)
                return task
        return None

    def _watch(self, worker: int, failed: bool) -> None:
        """Replace a worker that does nothing but fail."""
        self._errors_in_a_row[worker] = self._errors_in_a_row.get(worker, 0) + 1 if failed else 0
        if self._errors_in_a_row[worker] >= MAX_ERRORS_IN_A_ROW and worker in self._names:
            self._errors_in_a_row[worker] = 0
            self._replace(worker, f"gave {MAX_ERRORS_IN_A_ROW} errors in a row and is replaced")

    def _replace(self, worker: int, why: str) -> None:
        logger.warning("worker %s %s", self._names.pop(worker), why)
        self._workers.replace(worker)

    def _outcomes(self, running: Mapping[int, _Task]) -> dict[int, Outcome | Lost]:
        """Outcomes of running tries by worker, up to the next event or deadline."""
        now = time.monotonic()
        until = min((task.deadline for task in running.values()), default=now + 1.0)
        events = self._update_names(self._workers.wait(max(until - now, 0.0)))
        outcomes = {worker: event for worker, event in events if worker in running}
        for worker, task in running.items():
            if worker not in outcomes and task.deadline <= time.monotonic():
                self._replace(worker, "hangs and is ended")
                outcomes[worker] = Outcome(
                    error=f"TimeoutError: no result after {self._timeout:g} s; if candidates "
                    "take longer, raise search.executor.timeout"
                )
        return outcomes

    def _update_names(self, events: Sequence[Event]) -> list[tuple[int, Outcome | Lost]]:
        """Note which workers have started and ended; return the events that end a try."""
        outcomes: list[tuple[int, Outcome | Lost]] = []
        for worker, event in events:
            if isinstance(event, Started):
                self._names[worker] = event.name
                logger.info("worker %s is ready, %d in all", event.name, len(self._names))
                self.notes = self.notes or event.notes
                continue
            if isinstance(event, Lost):
                name = self._names.pop(worker, None)
                logger.warning("worker %s was lost: %s", name, event.reason)
            outcomes.append((worker, event))
        return outcomes

    def _result(self, task: _Task, worker: int, outcome: Outcome | Lost) -> JobResult | None:
        """The job's result; None if it is to be tried again."""
        if isinstance(outcome, Lost):
            task.losses += 1
            if task.losses < MAX_LOSSES:
                return None
            error = f"WorkerLost: {task.losses} workers ended in it, the last: {outcome.reason}"
            return JobResult(task.job.id, None, error=error)
        result = JobResult(task.job.id, None, error=outcome.error)
        if outcome.metrics is not None:
            result = self._reader.read(task.job, outcome.metrics)
            if result.error is None:
                return result
        task.failed_on.append(worker)
        return result if len(task.failed_on) >= self._attempts else None
