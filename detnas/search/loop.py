"""The search: joins a strategy, an executor and a history, and resumes from any point.

Each generation is proposed, recorded, evaluated, and told in the order proposed once all of it has
a result. A resumed search goes through the recorded generations in the same way, evaluating only
what has no result yet, so it continues exactly where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from detnas.errors import UserError
from detnas.search.executors.base import Executor, Job, JobResult
from detnas.search.history.records import (
    FAILED,
    RANDOM,
    SEARCH,
    Evaluation,
    best_of,
    failed_together,
)
from detnas.search.history.writer import History
from detnas.search.progress import ProgressCallback, Tracker
from detnas.search.strategies import Costs, Result, Strategy
from search_space.architecture import Choices


class SearchFailedError(UserError, RuntimeError):
    """No candidate of a generation could be evaluated."""


class ReplayError(UserError):
    """The history holds other proposals than this strategy makes from the same results."""


@dataclass(frozen=True)
class SearchResult:
    """A finished search.

    Attributes:
        choices: the best candidate.
        score: its score, as the evaluator gave it.
        evaluations: the search's candidates, in the order proposed.
        baseline: the random architectures it is compared with.
    """

    choices: Choices
    score: float
    evaluations: tuple[Evaluation, ...]
    baseline: tuple[Evaluation, ...]


def run_search(
    strategy: Strategy,
    executor: Executor,
    history: History,
    costs: Costs,
    *,
    baseline: Sequence[Choices] = (),
    greater_is_better: bool = True,
    progress: ProgressCallback | None = None,
) -> SearchResult:
    """Run a search to its end, from its beginning or from wherever its history stands.

    Args:
        strategy: new, nothing told to it yet.
        executor: evaluates candidates; its evaluator's score must be the history's.
        history: open for writing; new, or of the same search.
        costs: a candidate's costs, recorded with it.
        baseline: architectures scored after the search for comparison, never parents. One that
            the search has evaluated takes its result.
        greater_is_better: whether the highest score wins.
        progress: called after each result.

    Raises:
        SearchFailedError: a whole generation failed, of `MIN_OUTAGE` candidates or more, or
            none has ever had a score.
        ReplayError: the history was made by another strategy, or by another version of it.
        MissingScoreError: the evaluator's metrics lack the score.
        HistoryWriteError: the history cannot be written.
    """
    total = strategy.planned + len(baseline)
    tracker = Tracker(history.rows(), strategy.generations, total, greater_is_better, progress)
    run = _Run(executor, history, costs, tracker)
    sign = 1.0 if greater_is_better else -1.0
    while evaluations := run.generation(strategy.generation, strategy.ask()):
        if tracker.best is None or failed_together(evaluations):
            which = "every candidate" if tracker.best is None else "every candidate of a generation"
            raise SearchFailedError(
                f"{which} failed, the last one with {evaluations[-1].error}; "
                f"mend that, then try them again with --resume"
            )
        strategy.tell([_result(evaluation, sign) for evaluation in evaluations])
    compared = run.baseline(baseline)
    history.backup()
    evaluations = [e for e in history.rows() if e.role == SEARCH]
    best = best_of(evaluations, greater_is_better)
    assert best is not None, "a budget that admits nothing is refused before the search"
    assert best.score is not None
    return SearchResult(best.choices, best.score, tuple(evaluations), tuple(compared))


def _result(evaluation: Evaluation, sign: float) -> Result:
    score = evaluation.score
    return evaluation.choices, None if score is None else sign * score


@dataclass(frozen=True)
class _Run:
    """Brings recorded proposals to results."""

    executor: Executor
    history: History
    costs: Costs
    tracker: Tracker

    def generation(self, number: int, proposals: Sequence[Choices]) -> list[Evaluation]:
        """A generation with all its results; empty where nothing is proposed."""
        recorded = self.history.generation(number)
        if recorded:
            self._check_replay(recorded, proposals, f"generation {number}")
        elif proposals:
            candidates = [(choices, self.costs(choices)) for choices in proposals]
            self.history.record_generation(number, candidates)
            recorded = self.history.generation(number)
        pending = [evaluation for evaluation in recorded if not evaluation.settled]
        if pending:
            self._evaluate(pending)
            self.history.backup()
        return self.history.generation(number)

    def baseline(self, drawn: Sequence[Choices]) -> list[Evaluation]:
        """The baseline with all its results; architectures already evaluated take theirs."""
        recorded = self.history.generation(0, RANDOM)[: len(drawn)]
        self._check_replay(recorded, drawn[: len(recorded)], "the random baseline")
        added = [(choices, self.costs(choices)) for choices in drawn[len(recorded) :]]
        self.history.record_generation(0, added, RANDOM, first_position=len(recorded))
        rows = self.history.generation(0, RANDOM)[: len(drawn)]
        pending = [evaluation for evaluation in rows if not evaluation.settled]
        known = {e.choices: e for e in self.history.rows() if e.settled}
        first: dict[Choices, Evaluation] = {}
        for evaluation in pending:
            if evaluation.choices not in known:
                first.setdefault(evaluation.choices, evaluation)
        self._evaluate(list(first.values()))
        known |= {choices: self.history.evaluation(e.id) for choices, e in first.items()}
        for evaluation in pending:
            if first.get(evaluation.choices) is not evaluation:
                self._copy(known[evaluation.choices], evaluation)
        return self.history.generation(0, RANDOM)[: len(drawn)]

    def _evaluate(self, evaluations: Sequence[Evaluation]) -> None:
        def on_result(result: JobResult) -> None:
            if result.score is None:
                self.history.record_failed(result.id, result.error or "no error was given")
            else:
                self.history.record_done(result.id, result.score, result.metrics)
            self.tracker.add(self.history.evaluation(result.id))

        jobs = [Job(evaluation.id, evaluation.choices) for evaluation in evaluations]
        self.executor.run(jobs, self.history.mark_running, on_result)

    def _copy(self, known: Evaluation, to: Evaluation) -> None:
        if known.status == FAILED:
            self.history.record_failed(to.id, known.error or "no error was given")
        else:
            assert known.score is not None
            self.history.record_done(to.id, known.score, known.metrics)
        self.tracker.add(self.history.evaluation(to.id), evaluated=False)

    def _check_replay(
        self, recorded: Sequence[Evaluation], proposals: Sequence[Choices], what: str
    ) -> None:
        if [evaluation.choices for evaluation in recorded] != list(proposals):
            raise ReplayError(
                f"{self.history.path}: {what} holds other proposals than this search makes; "
                f"continue it with the detnas and numpy versions that wrote it"
            )
