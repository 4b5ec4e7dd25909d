"""Evaluates one candidate after another in this process, which nobody can time out or replace."""

from collections.abc import Sequence
from typing import Self

from detnas.search.executors.base import (
    Evaluate,
    ExecutorError,
    Job,
    JobResult,
    MissingScoreError,
    OnResult,
    OnStart,
    describe,
    finite_score,
    spoils_the_process,
)


class LocalExecutor:
    """Evaluates in this process.

    Args:
        evaluate: scores a candidate.
        score: the key of its metrics that ranks candidates.
        attempts: tries of a candidate before it counts as failed.
        has_scored: whether the metrics are known to have the score.
    """

    def __init__(
        self, evaluate: Evaluate, score: str, attempts: int = 2, has_scored: bool = False
    ) -> None:
        self._evaluate = evaluate
        self._score = score
        self._attempts = attempts
        self._has_scored = has_scored
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
                metrics = self._evaluate(job.choices)
                score = finite_score(metrics, self._score)
            except MissingScoreError as failure:
                if not self._has_scored:
                    raise
                error = describe(failure)
            except Exception as failure:  # any error of a candidate is a result of the search
                error = describe(failure)
                if spoils_the_process(failure):
                    raise ExecutorError(f"{error}; go on with --resume") from failure
            else:
                self._has_scored = True
                return JobResult(job.id, score, metrics)
        return JobResult(job.id, None, error=error)
