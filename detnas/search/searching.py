"""`detnas.search`: a search by any Python function, on the loop and history of every search."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from detnas.errors import UserError, user_input
from detnas.search.arguments import (
    BudgetLike,
    as_json,
    check_count,
    check_flag,
    check_function,
    check_name,
    executor_settings,
    history_file,
    said_for_python,
    sampler_of,
    strategy_of,
)
from detnas.search.begun import earlier_history, removed_if_unscorable
from detnas.search.costs import CandidateCosts
from detnas.search.executors.base import Executor
from detnas.search.executors.build import Machine, build_executor
from detnas.search.executors.settings import ExecutorSettings
from detnas.search.function_scorer import (
    EvaluateFunction,
    FunctionScorer,
    MakeFunctionScorer,
    refuse_unguarded_script,
)
from detnas.search.history.reading import SearchHistory
from detnas.search.history.writer import History
from detnas.search.loop import run_search
from detnas.search.progress import ProgressCallback
from detnas.search.results import BEST_FILE, FRONT_FILE, write_best, write_front
from detnas.search.strategies import StrategySettings
from detnas.search.strategies.random_search import draw_baseline
from search_space.architecture import CHANNEL_SHUFFLES
from search_space.spaces import SearchSpace


def search(
    space: str | Mapping[str, Any] | SearchSpace,
    evaluate: EvaluateFunction,
    *,
    work_dir: Path | str,
    budgets: BudgetLike | Sequence[BudgetLike] = (),
    strategy: str | Mapping[str, Any] | StrategySettings = "evolution",
    seed: int = 0,
    workers: int = 1,
    resume: bool = True,
    score: str = "score",
    greater_is_better: bool = True,
    random_baseline: int = 0,
    cost_tables: Path | str | Sequence[Path | str] = (),
    channel_shuffle: str = CHANNEL_SHUFFLES[0],
    depends_on: Mapping[str, Any] | None = None,
    attempts: int = 1,
    timeout: float = 4 * 3600.0,
    gpus: int = 0,
    progress: ProgressCallback | None = None,
) -> SearchHistory:
    """Search a space by a function that scores architectures.

    Each result is in `work_dir/history.db` before the next candidate begins. The same call resumes
    a search that was stopped, and gives what an uninterrupted one gives. At the end
    `best_architecture.json` is written beside it, and `pareto_front.json` by the strategy "pareto".

    Args:
        space: a space's name such as "small", a custom one as a dict, or a `SearchSpace`.
        evaluate: scores one `Architecture`; returns a number, or a dict with `score` and other
            numbers to record. A candidate whose evaluation raises or calls sys.exit, or whose score
            is not a finite number, has failed. It should return the same for the same architecture.
        work_dir: the folder of the history; made where it is missing.
        budgets: bounds that every candidate keeps, such as "macs=..300e6",
            {"cost": "params", "upper": 2e6} or a `Budget`; the first one's cost breaks ties.
        strategy: "evolution", "random", "pareto", or a dict of its settings, such as
            {"type": "evolution", "generations": 10, "population": 20, "parents": 5}. The default of
            each, "random" too, is 20 generations of 50: 1,000 evaluations. Of a begun search,
            `generations` may only be raised.
        seed: of all proposals.
        workers: 1 evaluates in this process. More are processes, each evaluating one candidate at a
            time: `evaluate` must be importable, and a script must make the call under
            `if __name__ == "__main__":`.
        resume: continue the history in `work_dir`; False refuses one.
        score: the name of the score: in the history, and in the dict of `evaluate`.
        greater_is_better: whether the highest score wins.
        random_baseline: random architectures in the same budget, scored after the search for
            comparison; never parents. A later call may ask for more; those that were scored stay.
        cost_tables: files of `detnas measure-latency`; budgets and objectives may use their costs.
        channel_shuffle: of the architectures: "even_odd" or "interleave".
        depends_on: what else scores depend on, as JSON values, such as a version of `evaluate` or
            of the data. A history made under other values is not continued.
        attempts: tries of a candidate before it has failed.
        timeout: seconds for one try by a worker, which is then replaced; without effect for 1.
        gpus: devices that the workers share, each seeing one; 0 lets all see all.
        progress: called after each result, such as `detnas.console.print_progress`.

    Returns:
        The history of the finished search.

    Raises:
        UserError: an argument is invalid, `work_dir` is an experiment's, a budget has no
            architecture, the history is of other settings, or no result has `score`. Nothing is
            made before these checks.
        SearchFailedError: all candidates of a generation failed; it is a UserError.
    """
    refuse_unguarded_script()
    file = history_file(work_dir)  # absolute: `evaluate` may change the current folder
    check_name("score", score)
    check_flag("resume", resume)
    if progress is not None:
        check_function("progress", progress, "the progress of the search")
    with said_for_python(score), user_input():
        sampler, measured = sampler_of(space, budgets, cost_tables)
        plan = _Plan(
            CandidateCosts(sampler, measured),
            strategy_of(strategy),
            executor_settings(workers, attempts, timeout),
            FunctionScorer(evaluate, sampler.space, channel_shuffle, score),
            *(seed, greater_is_better, random_baseline, gpus, as_json(depends_on)),
        )
        plan.run(file, resume, progress)
    history = SearchHistory.read(file)
    write_best(history, file.parent / BEST_FILE)
    if history.objectives:
        write_front(history, file.parent / FRONT_FILE, history.objectives)
    return history


@dataclass(frozen=True)
class _Plan:
    """The arguments of `search`, read and checked."""

    costs: CandidateCosts
    strategy: StrategySettings
    executor: ExecutorSettings
    scorer: FunctionScorer
    seed: int
    greater_is_better: bool
    random_baseline: int
    gpus: int
    depends_on: Mapping[str, Any]

    def __post_init__(self) -> None:
        check_function("evaluate", self.scorer.function, "an Architecture")
        check_flag("greater_is_better", self.greater_is_better)
        for name in ("seed", "random_baseline", "gpus"):
            check_count(name, getattr(self, name), 0)
        shuffle = self.scorer.channel_shuffle
        if shuffle not in CHANNEL_SHUFFLES:
            raise UserError(
                f"channel_shuffle is {shuffle!r}; it may be {' or '.join(CHANNEL_SHUFFLES)}"
            )

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What alters scores or proposals, as the history records it."""
        sampler = self.costs.sampler
        fingerprint = {
            "strategy": msgspec.to_builtins(self.strategy),
            "budgets": msgspec.to_builtins(sampler.budgets),
            "space": sampler.space.to_dict(),
            "channel_shuffle": self.scorer.channel_shuffle,
            "score": self.scorer.score,
            "greater_is_better": self.greater_is_better,
            "seed": self.seed,
            "supernet_sha256": None,
            "depends_on": self.depends_on,
        }
        if self.costs.measured:
            fingerprint["measured_costs"] = self.costs.measured_under
        return fingerprint

    def run(self, file: Path, resume: bool, progress: ProgressCallback | None) -> None:
        """Evaluate the search and its baseline."""
        sampler = self.costs.sampler
        strategy = self.strategy.build(sampler, self.costs, self.seed)
        earlier = earlier_history(file, resume)
        executor = self._executor(earlier is not None and bool(earlier.scores()))
        with ExitStack() as stack:
            stack.enter_context(executor)
            _make_folder(file.parent)
            if earlier is None:
                stack.enter_context(removed_if_unscorable(file))
            open_history = History.create if earlier is None else History.open
            run_search(
                strategy,
                executor,
                stack.enter_context(open_history(file, self.fingerprint)),
                self.costs,
                baseline=draw_baseline(sampler, self.seed, self.random_baseline),
                greater_is_better=self.greater_is_better,
                progress=progress,
            )

    def _executor(self, has_scored: bool) -> Executor:
        is_local = self.executor.type == "local"
        make = (lambda: self.scorer) if is_local else MakeFunctionScorer.of(self.scorer)
        machine = Machine(0 if is_local else self.gpus, 1)
        return build_executor(self.executor, make, self.scorer.score, machine, has_scored)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"work_dir {folder} is a file: name a folder") from None
    except OSError as error:
        raise UserError(f"work_dir {folder} cannot be made: {error.strerror}") from error
