"""Builds the candidate evaluator in a worker, from what the coordinator sent; the executors."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.utils import import_modules_from_strings
from msgspec import structs

from detnas.errors import MissingFileError, UserError
from detnas.evaluation.evaluator import CandidateEvaluator
from detnas.evaluation.kept_images import SharedFolder
from detnas.evaluation.settings import EvaluatorSettings
from detnas.search.executors.base import Executor, MakeEvaluate
from detnas.search.executors.build import Machine, build_executor
from detnas.search.racing import Race
from detnas.stages.hashes import input_hashes, versions
from detnas.stages.plan import SearchPlan


@dataclass(frozen=True)
class MakeCandidateEvaluator:
    """Builds the evaluator where a worker runs; see `executors.base.MakeEvaluate`.

    Attributes:
        config: the resolved config as a plain dict.
        supernet: the checkpoint's path.
        settings: with threads and shapes of batches decided.
        seed: chooses the calibration images.
        hashes: `input_hashes` of the coordinator.
        versions: `versions` of the coordinator.
        folder: the coordinator's working directory; the config's paths are relative to it.
        resampled: the score that is also computed on resampled sets of images; None for none.
        shared: where the workers of a machine keep the images; None for one worker.
        race: the test of the search, if it races.
    """

    config: Mapping[str, Any]
    supernet: str
    settings: EvaluatorSettings
    seed: int
    hashes: Mapping[str, Any]
    versions: Mapping[str, str]
    folder: str
    resampled: str | None = None
    shared: SharedFolder | None = None
    race: Race | None = None

    @classmethod
    def of_plan(
        cls,
        plan: SearchPlan,
        seed: int | None = None,
        resampled: str | None = None,
        race: Race | None = None,
    ) -> "MakeCandidateEvaluator":
        """What the coordinator of a search sends to its workers.

        Args:
            seed: chooses the calibration images; None takes the search's.
            resampled: see the attribute.
            race: see the attribute; None scores every candidate in full.
        """
        settings = plan.settings
        return cls(
            plan.config.to_dict(),
            settings.supernet,
            settings.evaluator,
            plan.seed if seed is None else seed,
            plan.hashes,
            versions(),
            str(Path.cwd()),
            resampled,
            None
            if settings.executor.type == "local"
            else SharedFolder.of_search(Path(plan.config.work_dir).absolute()),
            race,
        )

    def __call__(self) -> CandidateEvaluator:
        """The evaluator.

        Raises:
            UserError: this machine has other versions, weights or data than the coordinator, or
                lacks the folder, the weights or the data.
        """
        _require_equal(versions(), self.versions, "install the coordinator's version")
        if not Path(self.folder).is_dir():
            raise MissingFileError(
                f"the search's folder {self.folder} does not exist on this machine; workers need "
                "the coordinator's files under the same paths, as on a shared filesystem"
            )
        os.chdir(self.folder)
        config = Config(dict(self.config))
        if config.get("custom_imports"):
            import_modules_from_strings(**config.custom_imports)
        hashes = input_hashes(config, self.supernet)
        _require_equal(hashes, self.hashes, "give it the coordinator's files")
        return CandidateEvaluator(
            *(config, self.supernet, self.settings, self.seed),
            *(self.resampled, self.shared, self.race),
        )

    def finish(self) -> None:
        """Remove what the workers have shared; see `executors.base.MakeEvaluate`."""
        if self.shared is not None:
            self.shared.remove()


def executor_of(
    plan: SearchPlan,
    make_evaluate: MakeEvaluate,
    has_scored: bool = False,
    timeout: float | None = None,
) -> Executor:
    """The executor that a search's settings ask for; see `build_executor`.

    Args:
        timeout: seconds for one try, in place of the settings'.
    """
    settings = plan.settings
    executor = settings.executor
    if timeout is not None:
        executor = structs.replace(executor, timeout=timeout)
    assert settings.evaluator.threads is not None, "the plan has decided it"
    gpus = 0 if settings.evaluator.device == "cpu" else torch.cuda.device_count()
    machine = Machine(gpus, settings.evaluator.threads)
    return build_executor(executor, make_evaluate, settings.score, machine, has_scored)


def _require_equal(here: Mapping[str, Any], there: Mapping[str, Any], mend: str) -> None:
    for name, value in there.items():
        if here[name] != value:
            raise UserError(
                f"{name} is {here[name]} on this worker and {value} at the coordinator: {mend}"
            )
