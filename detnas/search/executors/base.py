"""What all executors share: jobs, results, scores, and errors that are not a candidate's.

An evaluation depends on its candidate alone, so results may come in any order, from any worker.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from detnas.errors import UserError, printable
from detnas.search.racing import CutOffs, is_dropped
from search_space.architecture import Choices

Evaluate = Callable[..., Mapping[str, float]]
"""Scores one candidate: from its choices to the evaluator's metrics by name. Of a race it gets the
cut-offs as well, and may drop the candidate (`detnas.search.racing`). It may have an attribute
`notes`, lines that the user should read once."""

MakeEvaluate = Callable[[], Evaluate]
"""Builds the scorer in a worker; must be picklable.

A `UserError` refuses the worker for good (it has another supernet, say). After any other error the
worker is started again. It may have a method `finish`, which is called where the search runs, after
all workers have ended.
"""


class MissingScoreError(UserError):
    """No candidate so far had the metric that ranks candidates.

    Once one had it, the candidate fails instead: some metrics omit it if nothing is detected.
    """


class ExecutorError(UserError, RuntimeError):
    """No worker is left to evaluate candidates on."""


@dataclass(frozen=True)
class Job:
    """A candidate to evaluate.

    Attributes:
        id: names it in the callbacks.
        choices: one block choice per block.
        cut_offs: of a race, by which it may be dropped; None scores it in full.
    """

    id: int
    choices: Choices
    cut_offs: CutOffs | None = None

    def evaluated_by(self, evaluate: Evaluate) -> Mapping[str, float]:
        """The metrics that a scorer gives."""
        if self.cut_offs is None:
            return evaluate(self.choices)
        return evaluate(self.choices, self.cut_offs)


@dataclass(frozen=True)
class JobResult:
    """The result of a job.

    Attributes:
        id: the job's.
        score: finite; None if every try failed, or if a race dropped the candidate.
        metrics: all that the evaluator returned.
        error: "Type: message" of the last try if every one failed, else None.
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
    """Evaluates jobs, retrying a failing one a bounded number of times. A context manager."""

    @property
    def notes(self) -> Sequence[str]:
        """Lines from the scorer that the user should read once."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def run(self, jobs: Sequence[Job], on_start: OnStart, on_result: OnResult) -> None:
        """Evaluate every job and return when all have a result.

        A candidate that raises, or whose score is not finite, gives a result with an error.

        Raises:
            MissingScoreError, ExecutorError, KeyboardInterrupt, and what the callbacks raise.
        """


class ScoreReader:
    """Reads results from evaluations' metrics, and remembers whether there was a score.

    Args:
        score: the key of the score.
        has_scored: whether the metrics are known to have it.
    """

    def __init__(self, score: str, has_scored: bool) -> None:
        self._score = score
        self._has_scored = has_scored

    def read(self, job: Job, metrics: Mapping[str, float]) -> JobResult:
        """The result of one try: with a score, dropped, or with an error.

        Raises:
            MissingScoreError: no metrics so far had the score.
        """
        if is_dropped(metrics):
            return JobResult(job.id, None, metrics)
        if self._score not in metrics:
            missing = MissingScoreError(
                f"search.score '{self._score}' is not among the evaluator's metrics; "
                f"set it to one of: {', '.join(metrics) or 'it gave none'}"
            )
            if not self._has_scored:
                raise missing
            return JobResult(job.id, None, error=describe(missing))
        score = float(metrics[self._score])
        if not math.isfinite(score):
            error = f"ScoreNotFiniteError: {self._score} is {score}"
            return JobResult(job.id, None, error=error)
        self._has_scored = True
        return JobResult(job.id, score, metrics)


def describe(error: BaseException) -> str:
    """An error as the history keeps it: "Type: message"."""
    return printable(f"{type(error).__name__}: {error}")


def spoils_the_process(error: BaseException) -> bool:
    """Whether an error leaves its process unable to evaluate anything: CUDA's "sticky" ones."""
    return type(error).__name__ == "AcceleratorError"
