"""How far a search is: counted as results come, handed to whoever shows it."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from detnas.search.history.records import Evaluation, best_of
from search_space.architecture import Choices


@dataclass(frozen=True)
class Progress:
    """The state of a search after one more result.

    Attributes:
        role: "search", or "random" while the baseline is scored.
        generation: of the last result, from 0.
        generations: how many there are at most.
        done: evaluations that have a result, failed and recorded earlier ones included.
        total: evaluations of the whole search and its baseline, at most.
        best_score: of the search's candidates; None while none has succeeded.
        best_choices: that candidate.
        elapsed: seconds since this run began; a resumed search begins at 0.
        eta: seconds left at this run's pace, whatever its number of workers.
        choices: the candidate of the last result.
        score: its score, None where it failed.
        status: "done" or "failed".
    """

    role: str
    generation: int
    generations: int
    done: int
    total: int
    best_score: float | None
    best_choices: Choices | None
    elapsed: float
    eta: float
    choices: Choices
    score: float | None
    status: str


ProgressCallback = Callable[[Progress], None]


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
        """Count a result; `evaluated` is False where it was known and took no time."""
        contenders = [evaluation] if self.best is None else [self.best, evaluation]
        self.best = best_of(contenders, self._greater_is_better)
        self._done += 1
        self._evaluated += evaluated
        if self._callback is None:
            return
        elapsed = time.monotonic() - self._began
        left = max(self._total - self._done, 0)
        self._callback(
            Progress(
                role=evaluation.role,
                generation=evaluation.generation,
                generations=self._generations,
                done=self._done,
                total=self._total,
                best_score=self.best.score if self.best else None,
                best_choices=self.best.choices if self.best else None,
                elapsed=elapsed,
                eta=elapsed / max(self._evaluated, 1) * left,
                choices=evaluation.choices,
                score=evaluation.score,
                status=evaluation.status,
            )
        )
