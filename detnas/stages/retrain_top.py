"""Trains the best candidates of a search on their own, and chooses among them.

The search split decides, never the test split. So the networks are trained on the training split
alone here; the chosen one is then retrained by the experiment's recipe.
"""

from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config

from detnas.errors import UserError
from detnas.search.executors.base import Executor
from detnas.search.finalists import read_finalists
from detnas.search.history.file import FILE_NAME
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import Evaluation
from detnas.search.progress import ProgressCallback
from detnas.search.results import BEST_FILE, write_best
from detnas.search.trained import (
    TRAINED_FILE,
    TrainedCandidate,
    TrainedCandidates,
    read_trained,
)
from detnas.stages.candidate_worker import executor_of
from detnas.stages.checks import check_splits
from detnas.stages.listed import evaluate_into
from detnas.stages.plan import SearchPlan
from detnas.stages.standalone import TIMEOUT, standalone_trainings
from search_space.architecture import Choices

FOLDER = "retrain_top"


def recipe_for_choosing(retrain: Config, search: Config) -> Config:
    """The recipe of retraining, scored on the search split in place of the test split.

    Args:
        retrain: the resolved config of retraining, checked, with `train_split="train"`.
        search: the resolved config of the search.
    Raises:
        UserError: it trains on images of the search split.
    """
    config = Config(retrain.to_dict())
    config.test_dataloader = search.val_dataloader
    config.test_evaluator = search.val_evaluator
    config.test_cfg = {"type": "TestLoop"}
    config.val_dataloader = config.val_evaluator = config.val_cfg = None
    try:
        check_splits(config, {"train_dataloader": "train", "test_dataloader": "search"})
    except UserError as error:
        raise UserError(
            f"--retrain-top trains without the search split, which decides: {error}; the config of "
            "retraining must leave it out with train_split='train', as those of "
            "configs/_base_/backbones/subnet.py do"
        ) from None
    return config


def retrain_top(
    count: int,
    plan: SearchPlan,
    recipe: Config,
    search_dir: Path,
    progress: ProgressCallback | None = None,
) -> TrainedCandidates:
    """Train the best `count` candidates of a finished search; write the winner as its best.

    Where finalists were scored, they are taken in their order. Trainings resume, and run where the
    search's executor runs; those that failed are tried again.

    Args:
        count: at least 2.
        plan: of the search.
        recipe: from `recipe_for_choosing`.
        search_dir: the work directory of the search.
        progress: called after each training.
    Raises:
        UserError: fewer than two trainings ended well, or earlier ones had another recipe.
    """
    history = SearchHistory.read(search_dir)
    candidates = _candidates(history, count)
    work_dir = search_dir.parent / FOLDER
    threads = plan.settings.evaluator.threads
    assert threads is not None, "the plan has decided it"
    trainings = standalone_trainings(recipe, plan, work_dir / "networks", plan.seed, threads)

    def make_executor() -> Executor:
        return executor_of(plan, trainings.make, timeout=TIMEOUT)

    trained = evaluate_into(
        *(work_dir / FILE_NAME, trainings.fingerprint, [row.choices for row in candidates]),
        *(make_executor, plan.costs, progress),
    )
    rows = {row.choices: row for row in trained.rows}
    found = _compared(history, candidates, rows)
    if found.count < min(2, len(candidates)):  # nothing was compared
        raise UserError(
            f"{trained.path}: {found.count} of {len(candidates)} trainings ended well, another "
            f"failed with {found.candidates[-1].error}; fix that, then run the same command again"
        )
    found.save(search_dir / TRAINED_FILE)
    write_best(history, search_dir / BEST_FILE)
    return found


def is_chosen(count: int, search_dir: Path) -> bool:
    """Whether the search's best was chosen among its best `count` candidates before."""
    if not (search_dir / FILE_NAME).is_file():
        return False
    history = SearchHistory.read(search_dir)
    found = read_trained(history)
    wanted = {row.choices for row in _candidates(history, count)}
    return found is not None and {each.choices for each in found.candidates} == wanted


def _compared(
    history: SearchHistory,
    candidates: list[Evaluation],
    trained: Mapping[Choices, Evaluation],
) -> TrainedCandidates:
    """The candidates by their trained networks' scores; equal ones in the order of the search."""
    sign = 1.0 if history.greater_is_better else -1.0
    found = []
    for row in candidates:
        assert row.score is not None, "it is ranked"
        own = trained[row.choices]
        found.append(TrainedCandidate(row.choices, row.score, own.score, own.error))
    found.sort(key=lambda each: (each.score is None, -sign * (each.score or 0.0)))
    return TrainedCandidates(history.score_name, len(history.scores()), tuple(found))


def _candidates(history: SearchHistory, count: int) -> list[Evaluation]:
    finalists = read_finalists(history.path.parent)
    first = [] if finalists is None else [each.choices for each in finalists.finalists]
    ranked = {row.choices: row for row in history.ranked()}
    order = dict.fromkeys([*first, *ranked])
    return [ranked[choices] for choices in order][:count]
