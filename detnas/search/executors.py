"""Where candidates are evaluated: takes a generation's jobs, calls back as they start and end.

An executor never alters a score: each evaluation is a function of its candidate alone, so results
may come in any order, from any worker. One that owns workers is entered with `with` by its maker.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from detnas.search.strategies import Choices

Evaluate = Callable[[Choices], Mapping[str, float]]
"""Scores one candidate: from its choices to the evaluator's metrics by name."""


class MissingScoreError(ValueError):
    """The evaluator's metrics lack the key that ranks candidates: no candidate's fault."""


class ScoreNotFiniteError(ValueError):
    """A candidate's score is NaN or infinite, which counts as a failure of it."""


@dataclass(frozen=True)
class Job:
    """A candidate to evaluate; `id` names it in the callbacks."""

    id: int
    choices: Choices


@dataclass(frozen=True)
class JobResult:
    """What came of a job.

    Attributes:
        id: the job's.
        score: finite; None where every try failed.
        metrics: all that the evaluator gave.
        error: "Type: message" of the last try where every one failed, else None.
    """

    id: int
    score: float | None
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None


OnStart = Callable[[int, str], None]
"""Called with (job id, worker's name) before each try of a job."""

OnResult = Callable[[JobResult], None]
"""Called exactly once for each job, in any order, on the thread that called `run`."""


class Executor(Protocol):
    """Evaluates jobs, retrying a failing one a bounded number of times."""

    def run(self, jobs: Sequence[Job], on_start: OnStart, on_result: OnResult) -> None:
        """Evaluate every job and return when all have a result.

        A candidate that raises, or whose score is not finite, is a result too. What is no fault of
        a candidate is raised: `MissingScoreError`, whatever the callbacks raise, an interrupt.
        """


def evaluate_once(evaluate: Evaluate, score: str, choices: Choices) -> Mapping[str, float]:
    """One try of one candidate, as every worker makes it: the metrics, with a finite score.

    Raises:
        MissingScoreError: `score` is not among the metrics.
        ScoreNotFiniteError: it is NaN or infinite.
        Exception: whatever `evaluate` raises.
    """
    metrics = evaluate(choices)
    if score not in metrics:
        raise MissingScoreError(
            f"search.score '{score}' is not among the evaluator's metrics; "
            f"set it to one of: {', '.join(metrics)}"
        )
    if not math.isfinite(metrics[score]):
        raise ScoreNotFiniteError(f"{score} is {metrics[score]}")
    return metrics


def describe(error: BaseException) -> str:
    """An error as the history keeps it: "Type: message"."""
    return f"{type(error).__name__}: {error}"


class LocalExecutor:
    """Evaluates one candidate after another in this process.

    Args:
        evaluate: scores a candidate.
        score: the key of its metrics that ranks candidates.
        attempts: tries of a candidate before it counts as failed.
    """

    def __init__(self, evaluate: Evaluate, score: str, attempts: int = 2) -> None:
        self._evaluate = evaluate
        self._score = score
        self._attempts = attempts

    def run(self, jobs: Sequence[Job], on_start: OnStart, on_result: OnResult) -> None:
        """See `Executor.run`."""
        for job in jobs:
            on_result(self._result(job, on_start))

    def _result(self, job: Job, on_start: OnStart) -> JobResult:
        error = ""
        for _ in range(self._attempts):
            on_start(job.id, "local")
            try:
                metrics = evaluate_once(self._evaluate, self._score, job.choices)
            except MissingScoreError:
                raise
            except Exception as failure:  # any error of a candidate is a result of the search
                error = describe(failure)
            else:
                return JobResult(job.id, float(metrics[self._score]), metrics)
        return JobResult(job.id, None, error=error)
