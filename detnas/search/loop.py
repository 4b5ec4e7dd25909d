"""Runs a search with a strategy, an executor and a history, and resumes it at any point.

Each generation is proposed, recorded and evaluated. Then the strategy is told its results in the
order proposed. In a race (`detnas.search.racing`) the cut-offs of a generation are known before it
is evaluated. A resumed search repeats this with the recorded generations and only evaluates
candidates without a result, so it continues exactly where it stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from detnas.errors import UserError
from detnas.search.executors.base import Executor, Job, JobResult
from detnas.search.history.records import (
    DROPPED,
    FAILED,
    RANDOM,
    SEARCH,
    Evaluation,
    best_of,
    failed_together,
)
from detnas.search.history.writer import History
from detnas.search.progress import ProgressCallback, Tracker
from detnas.search.racing import CutOffs, Race
from detnas.search.strategies import Costs, Result, Strategy
from search_space.architecture import Choices


class SearchFailedError(UserError, RuntimeError):
    """All candidates of a generation failed."""


class ReplayError(UserError):
    """The strategy's proposals differ from those in the history."""


@dataclass(frozen=True)
class SearchResult:
    """A finished search.

    Attributes:
        choices: the best candidate.
        score: its score, as the evaluator returned it.
        evaluations: the search's candidates, in the order proposed.
        baseline: the evaluations of the random baseline.
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
    race: Race | None = None,
    progress: ProgressCallback | None = None,
) -> SearchResult:
    """Run a search to its end, or resume one from its history.

    Args:
        strategy: a new one, without results.
        executor: evaluates candidates, with the score that the history records.
        history: open for writing; a new one, or one of the same search.
        costs: a candidate's costs, recorded with it.
        baseline: architectures to evaluate after the search for comparison, never parents. Those
            that the search has evaluated keep that result.
        greater_is_better: whether the highest score wins.
        race: the test by which candidates are dropped before they are scored in full; None scores
            all in full. The baseline never races.
        progress: called after each result.

    Raises:
        SearchFailedError: all of at least `MIN_OUTAGE` candidates of a generation failed, or
            no candidate has a score so far.
        ReplayError: another strategy, or another version of it, made the history.
        MissingScoreError: the evaluator's metrics lack the score.
        HistoryWriteError: the history cannot be written.
    """
    total = strategy.planned + len(baseline)
    tracker = Tracker(history.rows(), strategy.generations, total, greater_is_better, progress)
    run = _Run(executor, history, costs, tracker, race)
    sign = 1.0 if greater_is_better else -1.0
    while evaluations := run.generation(strategy.generation, strategy.ask()):
        if tracker.best is None or failed_together(evaluations):
            which = "every candidate" if tracker.best is None else "every candidate of a generation"
            raise SearchFailedError(
                f"{which} failed, the last one with {evaluations[-1].error}; "
                f"fix that, then try them again with --resume"
            )
        strategy.tell([_result(evaluation, sign) for evaluation in evaluations])
    compared = run.baseline(baseline)
    history.backup()
    evaluations = [e for e in history.rows() if e.role == SEARCH]
    best = best_of(evaluations, greater_is_better)
    assert best is not None, "an empty budget is refused before the search"
    assert best.score is not None
    return SearchResult(best.choices, best.score, tuple(evaluations), tuple(compared))


def evaluate_listed(
    architectures: Sequence[Choices],
    executor: Executor,
    history: History,
    costs: Costs,
    *,
    greater_is_better: bool = True,
    progress: ProgressCallback | None = None,
) -> tuple[Evaluation, ...]:
    """Evaluate given architectures, without a strategy; those with a result keep it.

    They are recorded as a random baseline is, so the list may have grown since the last run. The
    other arguments are those of `run_search`.

    Raises:
        ReplayError: the history begins with other architectures.
        MissingScoreError, HistoryWriteError: as `run_search`.
    """
    tracker = Tracker(history.rows(), 1, len(architectures), greater_is_better, progress)
    evaluations = _Run(executor, history, costs, tracker).baseline(architectures)
    history.backup()
    return tuple(evaluations)


def _result(evaluation: Evaluation, sign: float) -> Result:
    score = evaluation.score
    return evaluation.choices, None if score is None else sign * score


@dataclass(frozen=True)
class _Run:
    """Records and evaluates proposals."""

    executor: Executor
    history: History
    costs: Costs
    tracker: Tracker
    race: Race | None = None

    def generation(self, number: int, proposals: Sequence[Choices]) -> list[Evaluation]:
        """A generation with all its results; empty if nothing is proposed."""
        recorded = self.history.generation(number)
        if recorded:
            self._check_replay(recorded, proposals, f"generation {number}")
        elif proposals:
            candidates = [(choices, self.costs(choices)) for choices in proposals]
            self.history.record_generation(number, candidates)
            recorded = self.history.generation(number)
        pending = [evaluation for evaluation in recorded if not evaluation.settled]
        if pending:
            self._evaluate(pending, self._cut_offs(number))
            self.history.backup()
        return self.history.generation(number)

    def _cut_offs(self, number: int) -> CutOffs | None:
        """Those of a generation, by the results of all before it; None without a race."""
        if self.race is None:
            return None
        rows = self.history.rows()
        return self.race.cut_offs(e for e in rows if e.role == SEARCH and e.generation < number)

    def baseline(self, drawn: Sequence[Choices]) -> list[Evaluation]:
        """The baseline with all its results; architectures evaluated before keep theirs."""
        recorded = self.history.generation(0, RANDOM)[: len(drawn)]
        self._check_replay(recorded, drawn[: len(recorded)], "the random baseline")
        added = [(choices, self.costs(choices)) for choices in drawn[len(recorded) :]]
        self.history.record_generation(0, added, RANDOM, first_position=len(recorded))
        rows = self.history.generation(0, RANDOM)[: len(drawn)]
        pending = [evaluation for evaluation in rows if not evaluation.settled]
        settled = (e for e in self.history.rows() if e.settled and e.status != DROPPED)
        known = {e.choices: e for e in settled}
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

    def _evaluate(self, evaluations: Sequence[Evaluation], cut_offs: CutOffs | None = None) -> None:
        def on_result(result: JobResult) -> None:
            if result.error is not None:
                self.history.record_failed(result.id, result.error)
            elif result.score is None:
                self.history.record_dropped(result.id, result.metrics)
            else:
                self.history.record_done(result.id, result.score, result.metrics)
            self.tracker.add(self.history.evaluation(result.id))

        jobs = [Job(each.id, each.choices, cut_offs) for each in evaluations]
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
                f"{self.history.path}: {what} has other proposals than this search makes; "
                f"resume it with the detnas and numpy versions that wrote it"
            )
