"""What every executor shares: jobs in, results out, what a try is, and whose fault an error is.

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
"""Scores one candidate: from its choices to the evaluator's metrics by name. It may have an
attribute `notes`, lines that the user should read once."""

MakeEvaluate = Callable[[], Evaluate]
"""Builds the scorer where it will work; sent to workers, so it can be pickled.

A ValueError or FileNotFoundError refuses the worker for good (another supernet, say); what else it
raises may pass, and the worker is started again.
"""


class MissingScoreError(UserError):
    """The evaluator's metrics lack the key that ranks candidates.

    No candidate's fault, unless another had it: some metrics leave it out where nothing is found.
    """


class ScoreNotFiniteError(ValueError):
    """A candidate's score is NaN or infinite, which counts as a failure of it."""


class ExecutorError(UserError, RuntimeError):
    """Nothing is left to evaluate candidates on: no candidate's fault."""


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
    """Evaluates jobs, retrying a failing one a bounded number of times.

    Entered with `with` before its first run, which has workers ready, and left after its last.
    """

    @property
    def notes(self) -> Sequence[str]:
        """Lines from the scorer that the user should read once."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def run(self, jobs: Sequence[Job], on_start: OnStart, on_result: OnResult) -> None:
        """Evaluate every job and return when all have a result.

        A candidate that raises, or whose score is not finite, is a result too. What is no fault of
        a candidate is raised: `MissingScoreError`, `ExecutorError`, whatever the callbacks raise,
        an interrupt.
        """


class ScoreReader:
    """Takes the score out of each evaluation's metrics, and remembers that there has been one.

    Args:
        score: its key.
        has_scored: whether the metrics are known to have it.
    """

    def __init__(self, score: str, has_scored: bool) -> None:
        self._score = score
        self._has_scored = has_scored

    def read(self, metrics: Mapping[str, float]) -> tuple[float | None, str]:
        """The score and ""; None and why this candidate has none.

        Raises:
            MissingScoreError: it is not among the metrics, and never was.
        """
        try:
            score = _finite_score(metrics, self._score)
        except (MissingScoreError, ScoreNotFiniteError) as failure:
            if isinstance(failure, MissingScoreError) and not self._has_scored:
                raise
            return None, describe(failure)
        self._has_scored = True
        return score, ""


def _finite_score(metrics: Mapping[str, float], score: str) -> float:
    if score not in metrics:
        raise MissingScoreError(
            f"search.score '{score}' is not among the evaluator's metrics; "
            f"set it to one of: {', '.join(metrics) or 'it gave none'}"
        )
    if not math.isfinite(metrics[score]):
        raise ScoreNotFiniteError(f"{score} is {metrics[score]}")
    return float(metrics[score])


def describe(error: BaseException) -> str:
    """An error as the history keeps it: "Type: message"."""
    return f"{type(error).__name__}: {error}"


def spoils_the_process(error: BaseException) -> bool:
    """Whether an error leaves its process unable to evaluate anything: CUDA's "sticky" ones."""
    return type(error).__name__ == "AcceleratorError"
