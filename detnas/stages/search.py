"""`detnas search`: from a config to a finished search and its best architecture."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from detnas.config import save_config
from detnas.console import print_progress
from detnas.evaluation.metrics import metrics_that_round
from detnas.search.begun import earlier_history, removed_if_unscorable
from detnas.search.executors.base import Executor
from detnas.search.finalists import FINALISTS_FILE
from detnas.search.history.file import FILE_NAME
from detnas.search.history.fingerprint import check_fingerprint
from detnas.search.history.reading import SearchHistory
from detnas.search.history.writer import History
from detnas.search.loop import run_search
from detnas.search.progress import ProgressCallback
from detnas.search.results import BEST_FILE, CONFIG_FILE, FRONT_FILE, write_best, write_front
from detnas.search.strategies.random_search import draw_baseline
from detnas.search.trained import TRAINED_FILE, read_trained
from detnas.stages.base import OF_THE_MODEL, Stage
from detnas.stages.candidate_worker import MakeCandidateEvaluator, executor_of
from detnas.stages.checks import check_weights
from detnas.stages.finalists import are_finalists_missing, refuse_leftovers, score_finalists
from detnas.stages.plan import SearchPlan, plan_search
from detnas.stages.scalars import shown_search
from detnas.stages.settings import SearchSettings, remove_what_may_change

LOG_FILE = "search.log"


def search(
    config: Config, resume: bool = False, progress: ProgressCallback | None = None
) -> SearchHistory:
    """Run or resume a search, score its finalists, and write `best_architecture.json`.

    Args:
        config: from `detnas.config.load_config`.
        resume: continue the history in the work directory; start a new one where there is none.
        progress: called after each result.

    Returns:
        The history of the finished search.

    Raises:
        UserError: as `plan_search`, a checkpoint that is absent or does not fit, or a history that
            cannot be continued.
        ExecutorError: no worker is left to evaluate on.
        SearchFailedError: every candidate of a generation failed.
    """
    threads = torch.get_num_threads()
    try:
        return _search(config, resume, progress)
    finally:
        torch.set_num_threads(threads)  # the evaluator sets its own


def _search(config: Config, resume: bool, progress: ProgressCallback | None) -> SearchHistory:
    file = Path(config.work_dir) / FILE_NAME
    earlier = earlier_history(file, resume)
    if earlier is None:
        refuse_leftovers(file.parent)
    plan = plan_search(config, earlier.fingerprint if earlier else None)
    check_weights(config, plan.settings.supernet)
    _evaluate(plan, file, earlier, progress)
    history = SearchHistory.read(file)
    if read_trained(history) is None:  # candidates that were trained before the search has grown
        (file.parent / TRAINED_FILE).unlink(missing_ok=True)
    write_best(history, file.parent / BEST_FILE)
    if history.objectives:
        write_front(history, file.parent / FRONT_FILE, history.objectives)
    if plan.settings.finalists:
        with _logging_to(file.parent / LOG_FILE):
            score_finalists(plan, history, progress)
        write_best(history, file.parent / BEST_FILE)
    return history


def _evaluate(
    plan: SearchPlan,
    file: Path,
    earlier: SearchHistory | None,
    progress: ProgressCallback | None,
) -> None:
    """Evaluate the search and its baseline; the executor has ended afterwards."""
    make_evaluate = MakeCandidateEvaluator.of_plan(plan, race=plan.race)
    has_scored = earlier is not None and bool(earlier.scores())
    executor = executor_of(plan, make_evaluate, has_scored)
    with ExitStack() as stack:
        file.parent.mkdir(parents=True, exist_ok=True)
        stack.enter_context(_logging_to(file.parent / LOG_FILE))
        stack.enter_context(executor)  # before there is a history, for workers may be refused
        _print_notes(plan.config, executor)
        if earlier is None:
            stack.enter_context(removed_if_unscorable(file))
        open_history = History.create if earlier is None else History.open
        writer = stack.enter_context(open_history(file, plan.fingerprint))
        save_config(plan.config, file.parent / CONFIG_FILE)
        # What it says need not hold for a search that has grown; its scores stay recorded.
        (file.parent / FINALISTS_FILE).unlink(missing_ok=True)
        recorded = () if earlier is None else earlier.rows
        progress = stack.enter_context(shown_search(plan.config, recorded, progress))
        run_search(
            plan.strategy,
            executor,
            writer,
            plan.costs,
            baseline=draw_baseline(plan.costs.sampler, plan.seed, plan.settings.random_baseline),
            greater_is_better=plan.settings.greater_is_better,
            race=plan.race,
            progress=progress,
        )


@contextmanager
def _logging_to(file: Path) -> Iterator[None]:
    """Log events of workers and history to a file and to standard error, with times."""
    logger = logging.getLogger("detnas")
    level = logger.level
    handlers: list[logging.Handler] = [logging.FileHandler(file), logging.StreamHandler()]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


def _print_notes(config: Config, executor: Executor) -> None:
    for name in metrics_that_round(config.val_evaluator):
        print(f"note: {name} rounds to 3 decimals, so candidates tie; UnroundedCocoMetric does not")
    for note in executor.notes:
        print(f"note: {note}")


@dataclass(frozen=True)
class SearchStage(Stage):
    """The search on the fine-tuned supernet."""

    reads = (
        *OF_THE_MODEL,
        *("search", "train_dataloader", "val_dataloader", "val_evaluator", "env_cfg", "randomness"),
    )

    def check(self) -> float:
        file = self.work_dir / FILE_NAME
        earlier = SearchHistory.read(file) if file.is_file() else None
        plan = plan_search(self.config, earlier.fingerprint if earlier else None)
        if Path(plan.settings.supernet).is_file():
            check_weights(self.config, plan.settings.supernet)
        if earlier is not None and not earlier.has_only_failed:
            length = {"generations": plan.settings.strategy.generations}
            recorded = {"generations": earlier.strategy["generations"]}
            check_fingerprint(file, {"strategy": recorded}, {"strategy": length})
        evaluations = plan.strategy.planned + plan.settings.random_baseline
        return evaluations * plan.candidate_macs / (plan.settings.executor.workers or 1)

    def named_inputs(self) -> Mapping[str, Any]:
        return {"supernet": self.config.search.supernet}

    def identity(self) -> dict[str, Any]:
        """See `Stage.identity`; the history itself checks what it lets change."""
        identity = super().identity()
        remove_what_may_change(identity)
        return identity

    def has_nothing(self) -> bool:
        """See `Stage.has_nothing`: all candidates so far have failed."""
        file = self.work_dir / FILE_NAME
        return file.is_file() and SearchHistory.read(file).has_only_failed

    def has_grown(self) -> bool:
        """See `Stage.has_grown`: more generations, a longer baseline, or more finalists."""
        file = self.work_dir / FILE_NAME
        if not file.is_file():
            return False
        settings = SearchSettings.from_section(self.config.search)
        history = SearchHistory.read(file)
        return (
            settings.strategy.generations > history.strategy["generations"]
            or settings.random_baseline > len(history.baseline)
            or are_finalists_missing(settings, history)
        )

    def run(self, quiet: bool, later: float | None = None) -> None:
        search(self.config, resume=True, progress=partial(print_progress, later=later))
