"""Scores the finalists of a search again, with several calibration seeds.

Each calibration seed has a history of its own, WORK_DIR/finalists/seed_<n>.db. An interrupted
scoring resumes, and more finalists or seeds are added to those that there are.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from detnas.errors import UserError
from detnas.search.executors.base import Executor
from detnas.search.finalists import (
    FINALISTS_FILE,
    Finalists,
    compare_finalists,
    read_finalists,
)
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import Evaluation
from detnas.search.progress import ProgressCallback, in_phase
from detnas.stages.candidate_worker import MakeCandidateEvaluator, executor_of
from detnas.stages.listed import evaluate_into
from detnas.stages.plan import SearchPlan
from detnas.stages.settings import SearchSettings
from search_space.architecture import Choices

FOLDER = "finalists"


def score_finalists(
    plan: SearchPlan, history: SearchHistory, progress: ProgressCallback | None = None
) -> Finalists:
    """Score the best candidates of a finished search again, and write `finalists.json`.

    Args:
        plan: of the search.
        history: of the search.
        progress: called after each result.
    Raises:
        UserError: no finalist could be scored again.
        ExecutorError: no worker is left to evaluate on.
    """
    folder = history.path.parent
    rows = history.ranked()[: plan.settings.finalists]
    rescored = {}
    for number in _seeds(plan.settings):
        shown = in_phase(progress, f"finalists, seed {number}/{len(_seeds(plan.settings))}")
        file = folder / FOLDER / f"seed_{number}.db"
        seed = plan.seed + number
        rescored[seed] = _rescored([row.choices for row in rows], plan, seed, file, shown)
    found = compare_finalists(rows, rescored, history.score_name, history.greater_is_better)
    found.save(folder / FINALISTS_FILE)
    return found


def are_finalists_missing(settings: SearchSettings, history: SearchHistory) -> bool:
    """Whether the settings ask for more finalists or seeds than a finished search has scored."""
    if not settings.finalists:
        return False
    found = read_finalists(history.path.parent)
    if found is None or len(found.seeds) < len(_seeds(settings)):
        return True
    wanted = min(settings.finalists, len(history.ranked()))
    return len(found.finalists) + len(found.failed) < wanted


def refuse_leftovers(work_dir: Path) -> None:
    """Raise UserError if a new search would find the finalists of an earlier one."""
    if (work_dir / FOLDER).exists():
        raise UserError(
            f"{work_dir / FOLDER} is left from another search: remove it, or search in another "
            "work directory"
        )


def _seeds(settings: SearchSettings) -> range:
    """Numbers of the calibration seeds; without calibration images there is nothing to choose."""
    return range(1, 1 + (settings.finalist_seeds if settings.evaluator.calibration_images else 1))


def _rescored(
    choices: Sequence[Choices],
    plan: SearchPlan,
    seed: int,
    file: Path,
    progress: ProgressCallback | None,
) -> Mapping[Choices, Evaluation]:
    """The evaluation of each candidate under one calibration seed."""
    fingerprint = {**plan.fingerprint, "calibration_seed": seed}
    make_evaluate = MakeCandidateEvaluator.of_plan(plan, seed, plan.settings.score)

    def make_executor() -> Executor:
        return executor_of(plan, make_evaluate, has_scored=True)

    history = evaluate_into(file, fingerprint, choices, make_executor, plan.costs, progress)
    return {row.choices: row for row in history.rows}
