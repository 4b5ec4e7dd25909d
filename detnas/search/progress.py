"""How far a search is: counted as results come, and given to whatever displays it."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from detnas.search.history.records import Evaluation, best_of


@dataclass(frozen=True)
class Progress:
    """The state of a search after one more result.

    Attributes:
        last: the evaluation that just got its result.
        best: of the search's candidates; None while none has succeeded.
        generations: how many there are at most.
        done: evaluations that have a result, failed and earlier recorded ones included.
        total: evaluations of the whole search and its baseline, at most.
        elapsed: seconds since this run began; 0 at the start of a resumed search.
        pace: seconds for one evaluation in this run, whatever its number of workers.
        phase: what is evaluated, where it is not the search or its baseline.
    """

    last: Evaluation
    best: Evaluation | None
    generations: int
    done: int
    total: int
    elapsed: float
    pace: float
    phase: str | None = None

    @property
    def eta(self) -> float:
        """Seconds left at this run's pace."""
        return self.pace * max(self.total - self.done, 0)


ProgressCallback = Callable[[Progress], None]


def in_phase(progress: ProgressCallback | None, phase: str) -> ProgressCallback | None:
    """A callback whose progress names what is evaluated."""
    if progress is None:
        return None
    return lambda state: progress(replace(state, phase=phase))


class Tracker:
    """Counts results and calls back after each.

    Args:
        recorded: what the history holds when the run begins.
        generations: of the strategy.
        total: evaluations of the whole search and its baseline, at most.
        greater_is_better: whether the highest score wins.
        callback: called after each result; None shows nothing.
    """

    def __init__(
        self,
        recorded: Iterable[Evaluation],
        generations: int,
        total: int,
        greater_is_better: bool,
        callback: ProgressCallback | None,
    ) -> None:
        settled = [evaluation for evaluation in recorded if evaluation.settled]
        self.best = best_of(settled, greater_is_better)
        self._done = len(settled)
        self._evaluated = 0
        self._generations = generations
        self._total = total
        self._greater_is_better = greater_is_better
        self._callback = callback
        self._began = time.monotonic()

    def add(self, evaluation: Evaluation, evaluated: bool = True) -> None:
        """Count a result; `evaluated` is False if it was known and took no time."""
        contenders = [evaluation] if self.best is None else [self.best, evaluation]
        self.best = best_of(contenders, self._greater_is_better)
        self._done += 1
        self._evaluated += evaluated
        if self._callback is not None:
            elapsed = time.monotonic() - self._began
            pace = elapsed / max(self._evaluated, 1)
            done, total, generations = self._done, self._total, self._generations
            self._callback(Progress(evaluation, self.best, generations, done, total, elapsed, pace))
