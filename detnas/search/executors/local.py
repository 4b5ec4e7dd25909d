"""Evaluates one candidate after another in this process, without time limits."""

from collections.abc import Sequence
from typing import Self

from detnas.search.executors.base import (
    Evaluate,
    ExecutorError,
    Job,
    JobResult,
    OnResult,
    OnStart,
    ScoreReader,
    describe,
    spoils_the_process,
)


class LocalExecutor:
    """Evaluates in this process; arguments as `PoolExecutor`."""

    def __init__(
        self, evaluate: Evaluate, score: str, attempts: int = 2, has_scored: bool = False
    ) -> None:
        self._evaluate = evaluate
        self._reader = ScoreReader(score, has_scored)
        self._attempts = attempts
        self.notes: Sequence[str] = getattr(evaluate, "notes", ())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def run(self, jobs: Sequence[Job], on_start: OnStart, on_result: OnResult) -> None:
        """See `Executor.run`."""
        for job in jobs:
            on_result(self._result(job, on_start))

    def _result(self, job: Job, on_start: OnStart) -> JobResult:
        error = ""
        for _ in range(self._attempts):
            on_start(job.id, "local")
            try:
                metrics = job.evaluated_by(self._evaluate)
            except Exception as failure:  # any error of a candidate is a result of the search
                error = describe(failure)
                if spoils_the_process(failure):
                    raise ExecutorError(f"{error}; resume with --resume") from failure
                continue
            result = self._reader.read(job, metrics)
            if result.error is None:
                return result
            error = result.error
        return JobResult(job.id, None, error=error)
