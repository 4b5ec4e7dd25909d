"""Trains the best candidates of a search on their own, and chooses among them.

The search split decides, never the test split. So the networks are trained on the training split
alone here; the chosen one is then retrained by the experiment's recipe.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from msgspec import structs

from detnas.errors import UserError
from detnas.search.executors.base import Executor
from detnas.search.executors.build import Machine, build_executor
from detnas.search.finalists import read_finalists
from detnas.search.history.file import FILE_NAME
from detnas.search.history.reading import SearchHistory
from detnas.search.progress import ProgressCallback
from detnas.search.results import BEST_FILE
from detnas.stages.checks import check_splits
from detnas.stages.listed import evaluate_into
from detnas.stages.plan import SearchPlan
from detnas.stages.standalone import TIMEOUT, standalone_trainings
from search_space.architecture import Architecture, Choices

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
    settings = plan.settings
    work_dir = search_dir.parent / FOLDER
    assert settings.evaluator.threads is not None, "the plan has decided it"
    threads = settings.evaluator.threads
    trainings = standalone_trainings(recipe, plan, work_dir / "networks", plan.seed, threads)

    def make_executor() -> Executor:
        executor = structs.replace(settings.executor, timeout=TIMEOUT)
        machine = Machine(torch.cuda.device_count(), threads)
        return build_executor(executor, trainings.make, settings.score, machine)

    trained = evaluate_into(
        *(work_dir / FILE_NAME, trainings.fingerprint, candidates, make_executor),
        *(plan.costs, progress),
    )
    scored = [row for row in trained.rows if row.score is not None and row.choices in candidates]
    if not scored:
        raise UserError(f"{trained.path}: every training failed; see `detnas history {work_dir}`")
    sign = 1.0 if settings.greater_is_better else -1.0
    best = max(scored, key=lambda row: sign * (row.score or 0.0))
    assert best.score is not None
    winner = Architecture(history.space, best.choices, history.channel_shuffle)
    _write(winner, best.score, len(scored), search_dir / BEST_FILE)
    return winner


def _candidates(history: SearchHistory, count: int) -> list[Choices]:
    finalists = read_finalists(history.path.parent)
    ranked = [] if finalists is None else [each.choices for each in finalists.finalists]
    ranked += [row.choices for row in history.ranked() if row.choices not in ranked]
    return ranked[:count]


def _write(winner: Architecture, score: float, trained: int, path: Path) -> None:
    """Replace the architecture of `path`, keeping the metric and the provenance of the search."""
    before: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    provenance = {**(before["provenance"] or {}), "retrained": trained}
    provenance.pop("finalists", None)
    extra = {}
    if tuple(before["choices"]) == winner.choice_names:
        computed = winner.to_dict()["costs"]
        extra = {key: value for key, value in before["costs"].items() if key not in computed}
    winner.save(
        path,
        score={**before["score"], "value": score},
        provenance=provenance,
        extra_costs=extra,
    )
