"""`detnas search`: from a config to a finished search and its best architecture.

The one file of this package that imports torch and OpenMMLab; it supplies the loop with the
evaluator that the config describes.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from detnas.config import save_config, unwrap_dataset
from detnas.evaluation.evaluator import CandidateEvaluator
from detnas.evaluation.metrics import metrics_that_round
from detnas.files import file_sha256
from detnas.preflight import backbone_kind, check_splits, check_weights
from detnas.search.best import CONFIG_FILE, write_best
from detnas.search.costs import candidate_costs
from detnas.search.executors import LocalExecutor, MissingScoreError
from detnas.search.history import FILE_NAME, History
from detnas.search.loop import SearchResult, run_search
from detnas.search.progress import ProgressCallback
from detnas.search.settings import SearchSettings
from detnas.search.strategies.random_search import draw_baseline
from search_space.architecture import Architecture
from search_space.sampling import BudgetSampler
from search_space.spaces import get_space

SPLITS = {"train_dataloader": "train", "val_dataloader": "search", "test_dataloader": "test"}


@dataclass(frozen=True)
class Prepared:
    """A search that has passed every check and has not begun."""

    settings: SearchSettings
    sampler: BudgetSampler
    fingerprint: Mapping[str, Any]


def check_settings(config: Config) -> tuple[SearchSettings, BudgetSampler]:
    """Check what can be checked of a search before its supernet is there.

    Raises:
        FileNotFoundError, ValueError: an unknown key, an infeasible budget, data or splits that do
            not do.
    """
    if config.get("search") is None:
        raise ValueError("the config has no `search` section: it is no config of a search")
    settings = SearchSettings.from_dict(config.search.to_dict())
    if backbone_kind(config) != "DetNASSupernet":
        raise ValueError(
            "a search needs model.backbone.type 'DetNASSupernet', not "
            f"{config.model.backbone.get('type')!r}"
        )
    sampler = BudgetSampler(
        get_space(config.model.backbone.get("space", "small")), settings.budgets
    )
    for key in ("train_dataloader", "val_dataloader", "val_evaluator"):
        if config.get(key) is None:
            raise ValueError(
                f"the config has no `{key}`: a search recalibrates on train_dataloader and scores "
                "val_dataloader by val_evaluator"
            )
    check_splits(config, SPLITS)
    return settings, sampler


def prepare(config: Config) -> Prepared:
    """Check everything that a search needs, without building the detector.

    Raises:
        FileNotFoundError, ValueError: as `check_settings`, or a checkpoint that is absent or of
            another space or shuffle.
    """
    settings, sampler = check_settings(config)
    check_weights(config, settings.supernet)
    if settings.evaluator.threads is None:
        evaluator = replace(settings.evaluator, threads=torch.get_num_threads())
        settings = replace(settings, evaluator=evaluator)
    channel_shuffle = config.model.backbone.get("channel_shuffle", "even_odd")
    fingerprint = {
        **settings.fingerprint(),
        "space": sampler.space.to_dict(),
        "channel_shuffle": channel_shuffle,
        "seed": config.randomness["seed"],
        "supernet_sha256": file_sha256(settings.supernet),
        "model_sha256": _digest(_without_paths(config.model.to_dict())),
        "data": {name: _data_digest(config[key]) for key, name in list(SPLITS.items())[:2]},
        "metrics_sha256": _digest(_without_paths(config.val_evaluator)),
    }
    return Prepared(settings, sampler, fingerprint)


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
    """
    threads = torch.get_num_threads()
    try:
        return _search(config, resume, progress)
    finally:
        torch.set_num_threads(threads)  # the evaluator sets its own


def _search(
    config: Config, resume: bool, progress: ProgressCallback | None
) -> tuple[Architecture, SearchResult]:
    prepared = prepare(config)
    settings, sampler = prepared.settings, prepared.sampler
    seed = config.randomness["seed"]
    work_dir = Path(config.work_dir)
    history_file = work_dir / FILE_NAME
    going_on = resume and history_file.exists()
    if history_file.exists() and not resume:
        raise ValueError(
            f"{history_file} already exists; continue it with --resume, or search in another "
            "work directory"
        )
    evaluator = CandidateEvaluator(config, settings.supernet, settings.evaluator, seed)
    _note(config, settings, evaluator)
    work_dir.mkdir(parents=True, exist_ok=True)
    open_history = History.open if going_on else History.create
    with (
        _without_a_history_of_nothing(history_file, going_on),
        open_history(history_file, prepared.fingerprint) as history,
    ):
        save_config(config, work_dir / CONFIG_FILE)
        costs = candidate_costs(sampler)
        result = run_search(
            settings.strategy.build(sampler, costs, seed),
            LocalExecutor(evaluator, settings.score, settings.executor.attempts),
            history,
            costs,
            baseline=draw_baseline(sampler, seed, settings.random_baseline),
            greater_is_better=settings.greater_is_better,
            progress=progress,
        )
    return write_best(history_file, work_dir / "best_architecture.json"), result


@contextmanager
def _without_a_history_of_nothing(history_file: Path, going_on: bool) -> Iterator[None]:
    """Remove a new history whose `search.score` no candidate can have: it would block the mend."""
    try:
        yield
    except MissingScoreError:
        if not going_on:
            for file in history_file.parent.glob(f"{history_file.name}*"):
                file.unlink(missing_ok=True)
        raise


def _note(config: Config, settings: SearchSettings, evaluator: CandidateEvaluator) -> None:
    for name in metrics_that_round(config.val_evaluator):
        print(f"note: {name} rounds to 3 decimals, so candidates tie; UnroundedCocoMetric does not")
    if evaluator.calibration_images < settings.evaluator.calibration_images:
        print(
            f"note: the training split has {evaluator.calibration_images} images, all of which "
            f"recalibrate batch norm (asked: {settings.evaluator.calibration_images})"
        )


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _without_paths(value: Any) -> Any:
    """Drop what says where things lie, which may change; what they hold is hashed apart."""
    if isinstance(value, Mapping):
        dropped = ("ann_file", "data_root", "data_prefix", "init_cfg", "checkpoint")
        return {k: _without_paths(v) for k, v in value.items() if k not in dropped}
    if isinstance(value, list | tuple):
        return [_without_paths(item) for item in value]
    return value


def _data_digest(dataloader: Mapping[str, Any]) -> str:
    datasets = unwrap_dataset(dataloader["dataset"])
    files = [Path(d.get("data_root") or "") / d["ann_file"] for d in datasets if d.get("ann_file")]
    hashes = [file_sha256(file) for file in files if file.is_file()]
    return _digest([[_without_paths(d) for d in datasets], hashes, dataloader.get("batch_size")])
