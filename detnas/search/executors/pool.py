"""Shares candidates out to workers: a queue, retries, time limits; whatever the workers are.

A `Pool` starts workers, replaces those that end and carries messages; `PoolExecutor` decides who
evaluates what, and when a candidate has failed. Nothing here knows of processes, ranks or Ray.
"""

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from detnas.search.executors.base import (
    Job,
    JobResult,
    OnResult,
    OnStart,
    ScoreReader,
)
from search_space.architecture import Choices

logger = logging.getLogger(__name__)

MAX_LOSSES = 5
"""A candidate in whose evaluation so many workers ended has failed: it may be what ends them.

More than the usual number of tries, since a worker's end is seldom the candidate's doing."""


@dataclass(frozen=True)
class Ready:
    """A worker can take candidates; `name` says where it is, `notes` what the user should read."""

    worker: int
    name: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """A worker evaluated its candidate (metrics), or the evaluation raised (error)."""

    worker: int
    metrics: Mapping[str, float] | None = None
    error: str | None = None


@dataclass(frozen=True)
class Lost:
    """A worker that was ready has ended; where it is replaced, a `Ready` follows later."""

    worker: int
    reason: str


Event = Ready | Answer | Lost


class Pool(Protocol):
    """Workers by number. Each holds at most one candidate."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None:
        """End all workers, at once, whatever they do."""

    def send(self, worker: int, choices: Choices) -> None:
        """Give a ready worker a candidate; a worker that has ended says so by `Lost`."""

    def wait(self, seconds: float) -> list[Event]:
        """What has happened since, waiting for `seconds` at most where nothing has.

        Raises:
            ExecutorError: no worker is left, and none can be started.
        """

    def replace(self, worker: int) -> None:
        """End a worker that hangs; no `Lost` comes of it."""


MAX_ERRORS_IN_A_ROW = 3
"""A worker that answers so often with nothing but errors is replaced: it may be what fails."""


@dataclass
class _Task:
    job: Job
    failed_on: list[int] = field(default_factory=list)  # the workers, one entry a failed try
    losses: int = 0


@dataclass(frozen=True)
class _Try:
    task: _Task
    deadline: float


class PoolExecutor:
    """Evaluates on the workers of a pool.

    Args:
        pool: entered and left with the executor.
        score: the key of the metrics that ranks candidates.
        attempts: tries of a candidate that raise, have no finite score or take too long before it
            counts as failed.
        timeout: seconds for one try; a worker that takes longer is replaced.
        has_scored: whether the metrics are known to have the score.
    """

    def __init__(
        self, pool: Pool, score: str, attempts: int, timeout: float, has_scored: bool = False
    ) -> None:
        self._pool = pool
        self._reader = ScoreReader(score, has_scored)
        self._attempts = attempts
        self._timeout = timeout
        self._names: dict[int, str] = {}
        self._errors_in_a_row: dict[int, int] = {}
        self.notes: Sequence[str] = ()

    def __enter__(self) -> Self:
        self._pool.__enter__()
        try:
            while not self._names:
                self._keep_account(self._pool.wait(1.0))
        except BaseException:
            self._pool.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.__exit__(*error)

    def run(self, jobs: Sequence[Job], on_start: OnStart, on_result: OnResult) -> None:
        """See `Executor.run`."""
        waiting = deque(_Task(job) for job in jobs)
        running: dict[int, _Try] = {}
        while waiting or running:
            for worker in sorted(self._names.keys() - running.keys()):
                task = self._take(waiting, worker)
                if task is None:
                    continue
                on_start(task.job.id, self._names[worker])
                running[worker] = _Try(task, time.monotonic() + self._timeout)
                self._pool.send(worker, task.job.choices)
            for worker, outcome in self._outcomes(running):
                task = running.pop(worker).task
                result = self._result(task, outcome)
                self._watch(worker, failed=result is None or result.score is None)
                if result is None:
                    waiting.append(task)
                else:
                    on_result(result)

    def _take(self, waiting: "deque[_Task]", worker: int) -> _Task | None:
        """The next task for a worker: one that it has failed is for another, if there is one."""
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
            logger.warning(
                "worker %s gave %d errors in a row and is replaced",
                *(self._names.pop(worker), MAX_ERRORS_IN_A_ROW),
            )
            self._pool.replace(worker)

    def _outcomes(self, running: Mapping[int, _Try]) -> list[tuple[int, Answer | Lost]]:
        """What came of running tries, waiting for the next event or the next deadline."""
        now = time.monotonic()
        until = min((one.deadline for one in running.values()), default=now + 1.0)
        events = self._pool.wait(max(until - now, 0.0))
        outcomes = [event for event in self._keep_account(events) if event.worker in running]
        answered = {event.worker for event in outcomes}
        for worker, one in running.items():
            if worker not in answered and one.deadline <= time.monotonic():
                outcomes.append(self._time_out(worker))
        return [(event.worker, event) for event in outcomes]

    def _time_out(self, worker: int) -> Answer:
        logger.warning("worker %s hangs and is ended", self._names.pop(worker))
        self._pool.replace(worker)
        message = (
            f"TimeoutError: no result after {self._timeout:g} s; where candidates take longer, "
            "raise search.executor.timeout"
        )
        return Answer(worker, error=message)

    def _keep_account(self, events: Sequence[Event]) -> list[Answer | Lost]:
        """Note who is there; what is left are outcomes."""
        outcomes: list[Answer | Lost] = []
        for event in events:
            if isinstance(event, Ready):
                self._names[event.worker] = event.name
                logger.info("worker %s is ready, %d in all", event.name, len(self._names))
                self.notes = self.notes or event.notes
                continue
            if isinstance(event, Lost):
                name = self._names.pop(event.worker, None)
                logger.warning("worker %s was lost: %s", name, event.reason)
            outcomes.append(event)
        return outcomes

    def _result(self, task: _Task, outcome: Answer | Lost) -> JobResult | None:
        """The job's result, None where it is to be tried again."""
        if isinstance(outcome, Lost):
            task.losses += 1
            if task.losses < MAX_LOSSES:
                return None
            error = f"WorkerLost: {task.losses} workers ended in it, the last: {outcome.reason}"
            return JobResult(task.job.id, None, error=error)
        error = outcome.error or ""
        if outcome.metrics is not None:
            score, error = self._reader.read(outcome.metrics)
            if score is not None:
                return JobResult(task.job.id, score, outcome.metrics)
        task.failed_on.append(outcome.worker)
        if len(task.failed_on) < self._attempts:
            return None
        return JobResult(task.job.id, None, error=error)
