"""`detnas search`: from a config to a finished search and its best architecture.

Supplies the loop with what the config describes: strategy, budget, executor, and the evaluator that
the executor's workers build.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from mmengine.config import Config

from detnas.config import save_config
from detnas.errors import UserError
from detnas.evaluation.metrics import metrics_that_round
from detnas.search.best import BEST_FILE, CONFIG_FILE, write_best
from detnas.search.executors.base import Executor, MissingScoreError
from detnas.search.executors.build import Machine, build_executor
from detnas.search.front import FRONT_FILE, write_front
from detnas.search.history.file import FILE_NAME, lock_writer
from detnas.search.history.records import DONE, read_fingerprint, read_history
from detnas.search.history.writer import History
from detnas.search.inputs import versions
from detnas.search.loop import SearchResult, run_search
from detnas.search.plan import Prepared, prepare
from detnas.search.progress import ProgressCallback
from detnas.search.strategies.random_search import draw_baseline
from detnas.search.workers import MakeCandidateEvaluator
from search_space.architecture import Architecture

LOG_FILE = "search.log"


def search(
    config: Config, resume: bool = False, progress: ProgressCallback | None = None
) -> tuple[Architecture, SearchResult]:
    """Run a search, or go on with one, and write `best_architecture.json`.

    Args:
        config: from `detnas.config.load_config`.
        resume: go on from the history in the work directory, where there is one.
        progress: called after each result.
    Returns:
        The best architecture and all that was evaluated.
    Raises:
        FileNotFoundError, ValueError: as `prepare`, or a history that cannot be gone on with.
        ExecutorError: no worker is left to evaluate on.
        SearchFailedError: every candidate of a generation failed, and none ever succeeded.
    """
    threads = torch.get_num_threads()
    try:
        return _search(config, resume, progress)
    finally:
        torch.set_num_threads(threads)  # the evaluator sets its own


def _search(
    config: Config, resume: bool, progress: ProgressCallback | None
) -> tuple[Architecture, SearchResult]:
    history_file = Path(config.work_dir) / FILE_NAME
    going_on = resume and history_file.exists()
    with ExitStack() as stack:
        if history_file.exists() and not resume:
            raise UserError(
                f"{history_file} already exists; continue it with --resume, or search in "
                "another work directory"
            )
        if going_on:
            lock_writer(history_file).close()  # refused now, not once the workers are there
        prepared = prepare(config, read_fingerprint(history_file) if going_on else None)
        executor = _executor(config, prepared, going_on and _has_score(history_file))
        history_file.parent.mkdir(parents=True, exist_ok=True)
        stack.enter_context(_logging_to(history_file.parent / LOG_FILE))
        stack.enter_context(executor)  # before there is a history, for it may be refused
        _note(config, executor)
        stack.enter_context(_without_a_history_of_nothing(history_file, going_on))
        open_history = History.open if going_on else History.create
        history = stack.enter_context(open_history(history_file, prepared.fingerprint))
        save_config(config, history_file.parent / CONFIG_FILE)
        result = _run(config, prepared, executor, history, progress)
        best = write_best(history_file, history_file.parent / BEST_FILE)
        objectives = getattr(prepared.plan.settings.strategy, "objectives", ())
        if objectives:
            write_front(history_file, history_file.parent / FRONT_FILE, objectives)
    return best, result


def _run(
    config: Config,
    prepared: Prepared,
    executor: Executor,
    history: History,
    progress: ProgressCallback | None,
) -> SearchResult:
    settings, sampler = prepared.plan.settings, prepared.plan.sampler
    seed = config.randomness["seed"]
    return run_search(
        prepared.plan.strategy,
        executor,
        history,
        prepared.plan.costs,
        baseline=draw_baseline(sampler, seed, settings.random_baseline),
        greater_is_better=settings.greater_is_better,
        progress=progress,
    )


def _executor(config: Config, prepared: Prepared, has_scored: bool) -> Executor:
    settings = prepared.plan.settings
    threads = settings.evaluator.threads
    assert threads is not None, "prepare has decided it"
    make_evaluate = MakeCandidateEvaluator(
        config.to_dict(),
        settings.supernet,
        settings.evaluator,
        config.randomness["seed"],
        prepared.hashes,
        versions(),
        str(Path.cwd()),
    )
    machine = Machine(torch.cuda.device_count(), threads)
    return build_executor(settings.executor, make_evaluate, settings.score, machine, has_scored)


@contextmanager
def _logging_to(file: Path) -> Iterator[None]:
    """What happens to workers and the history goes to a file and to standard error, with times."""
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


def _has_score(history_file: Path) -> bool:
    return any(row.status == DONE for row in read_history(history_file))


@contextmanager
def _without_a_history_of_nothing(history_file: Path, going_on: bool) -> Iterator[None]:
    """Remove a new history whose `search.score` no candidate can have: it would block the mend."""
    try:
        yield
    except MissingScoreError:
        if not going_on and not _has_score(history_file):
            for file in history_file.parent.glob(f"{history_file.name}*"):
                file.unlink(missing_ok=True)
        raise


def _note(config: Config, executor: Executor) -> None:
    for name in metrics_that_round(config.val_evaluator):
        print(f"note: {name} rounds to 3 decimals, so candidates tie; UnroundedCocoMetric does not")
    for note in executor.notes:
        print(f"note: {note}")
