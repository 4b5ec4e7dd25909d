"""What every executor shares: jobs, results, and how a score is read from metrics.

An executor never alters a score: each evaluation is a function of its candidate alone, so results
may come in any order, from any worker.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from detnas.errors import UserError
from search_space.architecture import Choices

Evaluate = Callable[[Choices], Mapping[str, float]]
"""Scores one candidate: from its choices to metrics by name. Its optional attribute `notes` holds
remarks for the user."""

MakeEvaluate = Callable[[], Evaluate]
"""Builds the scorer where it will work; sent to workers, so it can be pickled.

A UserError, such as another supernet, refuses the worker for good. After any other error the worker
is started again, since the cause may be temporary.
"""


class MissingScoreError(UserError):
    """The evaluator's metrics lack the key that ranks candidates.

    Not an error of the candidate, unless another candidate had the score: some metrics omit it
    where nothing is detected.
    """


class ExecutorError(UserError, RuntimeError):
    """No worker is left to evaluate candidates."""


@dataclass(frozen=True)
class Job:
    """A candidate to evaluate; `id` names it in the callbacks."""

    id: int
    choices: Choices


@dataclass(frozen=True)
class JobResult:
    """The result of a job.

    Attributes:
        id: the job's.
        score: finite; None if every try failed.
        metrics: all metrics of the evaluator.
        error: "Type: message" of the last try if every try failed, else None.
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
    """Evaluates jobs, retrying a failing one a bounded number of times.

    `with` starts its workers before the first run, and ends them after the last.
    """

    @property
    def notes(self) -> Sequence[str]:
        """Remarks of the scorer for the user."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def run(self, jobs: Sequence[Job], on_start: OnStart, on_result: OnResult) -> None:
        """Evaluate every job and return when all have a result.

        A candidate that raises, or whose score is not finite, has a result too.

        Raises:
            MissingScoreError, ExecutorError: see there; also whatever the callbacks raise.
        """


class ScoreReader:
    """Reads the score from the metrics of evaluations, and remembers whether there was one.

    Args:
        score: key of the score.
        has_scored: whether the metrics are known to have it.
    """

    def __init__(self, score: str, has_scored: bool) -> None:
        self._score = score
        self._has_scored = has_scored

    def read(self, metrics: Mapping[str, float]) -> tuple[float | None, str]:
        """The score and ""; or None and the reason.

        Raises:
            MissingScoreError: no candidate has had the score yet.
        """
        if self._score in metrics and math.isfinite(metrics[self._score]):
            self._has_scored = True
            return float(metrics[self._score]), ""
        if self._score in metrics:
            return None, f"ScoreNotFiniteError: {self._score} is {metrics[self._score]}"
        missing = MissingScoreError(
            f"search.score '{self._score}' is not among the evaluator's metrics; "
            f"set it to one of: {', '.join(metrics) or 'it gave none'}"
        )
        if not self._has_scored:
            raise missing
        return None, describe(missing)


def describe(error: BaseException) -> str:
    """An error as the history keeps it: "Type: message"."""
    return f"{type(error).__name__}: {error}"


def spoils_the_process(error: BaseException) -> bool:
    """Whether the process cannot evaluate anything after an error: a "sticky" one of CUDA."""
    return type(error).__name__ == "AcceleratorError"
