"""Trains the best candidates of a search on their own, and chooses among them.

The search split decides, never the test split. So the networks are trained on the training split
alone here; the chosen one is then retrained by the experiment's recipe.
"""

from operator import itemgetter
from pathlib import Path

from mmengine.config import Config

from detnas.errors import UserError
from detnas.search.executors.base import Executor
from detnas.search.finalists import read_finalists
from detnas.search.history.file import FILE_NAME
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import Evaluation
from detnas.search.progress import ProgressCallback
from detnas.search.results import BEST_FILE, write_chosen
from detnas.stages.candidate_worker import executor_of
from detnas.stages.checks import check_splits
from detnas.stages.listed import evaluate_into
from detnas.stages.plan import SearchPlan
from detnas.stages.standalone import TIMEOUT, standalone_trainings
from search_space.architecture import Architecture

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
) -> Architecture:
    """Train the best `count` candidates of a finished search; write the winner as its best.

    Where finalists were scored, they are taken in their order. Trainings resume, and run where the
    search's executor runs.

    Args:
        count: at least 2.
        plan: of the search.
        recipe: from `recipe_for_choosing`.
        search_dir: the work directory of the search.
        progress: called after each training.
    Raises:
        UserError: every training failed, or earlier ones had another recipe.
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
    known = {row.choices: row.score for row in trained.rows}
    sign = 1.0 if plan.settings.greater_is_better else -1.0
    scored = [
        (sign * score, row) for row in candidates if (score := known[row.choices]) is not None
    ]
    if not scored:
        raise UserError(f"{trained.path}: every training failed; see `detnas history {work_dir}`")
    best, winner = max(scored, key=itemgetter(0))
    write_chosen(history, winner, sign * best, search_dir / BEST_FILE, retrained=len(scored))
    return history.architecture(winner)


def _candidates(history: SearchHistory, count: int) -> list[Evaluation]:
    finalists = read_finalists(history.path.parent)
    first = [] if finalists is None else [each.choices for each in finalists.finalists]
    ranked = {row.choices: row for row in history.ranked()}
    order = dict.fromkeys([*first, *ranked])
    return [ranked[choices] for choices in order][:count]
