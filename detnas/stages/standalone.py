"""Trains networks on their own by an experiment's retraining recipe: what a supernet predicts.

`standalone_trainings` says how to train, and what the scores depend on; executors do the rest.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from detnas.errors import UserError
from detnas.evaluation.evaluator import quiet_stdout
from detnas.search.history.file import FILE_NAME
from detnas.stages.hashes import training_inputs
from detnas.stages.plan import SearchPlan
from detnas.stages.test import score_checkpoint
from detnas.stages.train import TrainingStage, train
from detnas.training.hooks import FINAL_WEIGHTS
from search_space.architecture import Choices, choices_to_text

TIMEOUT = 14 * 24 * 3600.0
"""Seconds for one training."""


@dataclass(frozen=True)
class StandaloneTrainings:
    """How networks are trained on their own.

    Attributes:
        make: builds the trainer.
        fingerprint: all that the scores depend on, as a history records it.
    """

    make: "MakeStandaloneTrainer"
    fingerprint: Mapping[str, Any]


def standalone_trainings(
    retrain: Config,
    search: SearchPlan,
    work_dir: Path,
    seed: int,
    threads: int,
    from_nothing: bool = False,
) -> StandaloneTrainings:
    """Trainings by a recipe, in the space of a search.

    Args:
        retrain: the resolved config of retraining, checked; its test split gives the score.
        search: gives space, channel shuffle, and the score's name.
        work_dir: networks train in folders below it; the history of their scores is beside it.
        seed: of every training.
        threads: of torch.
        from_nothing: initialise all weights anew, in place of the recipe's starting weights.
    Raises:
        UserError: a checkpoint that the recipe starts from does not exist, or the folder holds
            networks whose history was removed, and so perhaps their recipe.
    """
    if (
        work_dir.is_dir()
        and not (work_dir.parent / FILE_NAME).is_file()
        and any(work_dir.iterdir())
    ):
        raise UserError(f"{work_dir} is left from trainings without a {FILE_NAME}: remove it")
    config = Config(retrain.to_dict())
    config.randomness["seed"] = seed
    config.model.backbone.architecture = None  # every network has its own
    if from_nothing:
        config.load_from = None
        config.model.backbone.pop("init_cfg", None)
    space, shuffle = search.costs.sampler.space, search.fingerprint["channel_shuffle"]
    make = MakeStandaloneTrainer(
        config.to_dict(), space.to_dict(), shuffle, work_dir, threads, str(Path.cwd())
    )
    fingerprint = {
        "space": space.to_dict(),
        "channel_shuffle": shuffle,
        "score": search.settings.score,
        "greater_is_better": search.settings.greater_is_better,
        "budgets": [],
        "strategy": {"type": "listed"},
        "seed": seed,
        "from_nothing": from_nothing,
        "threads": threads,
        **training_inputs(config),
        "weights": TrainingStage("retrain", config).input_hashes(),
    }
    return StandaloneTrainings(make, fingerprint)


@dataclass(frozen=True)
class MakeStandaloneTrainer:
    """Builds the trainer where a worker runs; see `executors.base.MakeEvaluate`.

    Attributes:
        config: the resolved config of the trainings as a plain dict, without an architecture.
        space: the search space's JSON object.
        channel_shuffle: of the networks.
        work_dir: each network trains in a folder of its own below it.
        threads: of torch.
        folder: the coordinator's working directory; the config's paths are relative to it.
    """

    config: Mapping[str, Any]
    space: Mapping[str, Any]
    channel_shuffle: str
    work_dir: Path
    threads: int
    folder: str

    def __call__(self) -> "StandaloneTrainer":
        """The trainer."""
        os.chdir(self.folder)
        config = Config(dict(self.config))
        if config.get("custom_imports"):
            import_modules_from_strings(**config.custom_imports)
        return StandaloneTrainer(self)


@dataclass(frozen=True)
class StandaloneTrainer:
    """Trains one network after another, each from the same weights, and tests it.

    A training that was interrupted goes on from its last checkpoint. Of a finished one the metrics
    remain, in the history; its folder is removed.
    """

    made: MakeStandaloneTrainer

    def __call__(self, choices: Choices) -> dict[str, float]:
        """The metrics of `test_evaluator` on the test split, by full names."""
        torch.set_num_threads(self.made.threads)
        folder = self.made.work_dir / choices_to_text(choices).replace(",", "-")
        with quiet_stdout():
            weights = folder / FINAL_WEIGHTS
            if not weights.is_file():
                train(self._config(choices, folder), resume=True, checked=True)
            metrics = score_checkpoint(self._config(choices, folder), weights)
        shutil.rmtree(folder)
        return metrics

    def _config(self, choices: Choices, folder: Path) -> Config:
        made = self.made
        config = Config(dict(made.config))
        config.work_dir = str(folder)
        config.console_level = "ERROR"
        config.model.backbone.architecture = {
            "space": dict(made.space),
            "choices": list(choices),
            "channel_shuffle": made.channel_shuffle,
        }
        return config
