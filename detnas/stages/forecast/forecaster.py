"""What an experiment will take here: time of each stage, memory, disk, and what its networks cost.

Every stage that is not finished runs for a few steps; `pace.py` measures them.
"""

import shutil
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import DATASETS

from detnas.config import unwrap_dataset
from detnas.errors import Problems, UserError
from detnas.evaluation.detector_costs import parameters
from detnas.evaluation.evaluator import build_random_model, quiet_stdout
from detnas.evaluation.latency import device_name
from detnas.search.history.file import FILE_NAME
from detnas.search.history.reading import SearchHistory
from detnas.stages.base import Stage
from detnas.stages.compare import CompareStage
from detnas.stages.forecast.memory import GB, available_memory
from detnas.stages.forecast.networks import NetworkCosts, network_costs
from detnas.stages.forecast.pace import START, give_architecture, measure_training
from detnas.stages.forecast.scoring import ScoringPace, measure_scoring
from detnas.stages.plan import SearchPlan, plan_search
from detnas.stages.search import SearchStage
from detnas.stages.test import TestStage
from detnas.stages.train import TrainingStage, latest_checkpoint

CHECKPOINTS = 3
"""Files that a training keeps at most at a time: two with the optimiser's state, and one more."""


@dataclass(frozen=True)
class Forecast:
    """What the rest of an experiment takes.

    Attributes:
        device: and its threads.
        seconds: of each stage that is unfinished, about.
        memory: bytes that the largest step needs, and that there are.
        disk: bytes that the checkpoints need, and that are free.
        count: architectures within the budgets; 0 without a search.
        budgets: of the search, as text.
        networks: the smallest, the median and the largest of draws within the budgets.
    """

    device: str
    seconds: Mapping[str, float]
    memory: tuple[int, int]
    disk: tuple[int, int]
    count: int
    budgets: str
    networks: Sequence[NetworkCosts]


class Forecaster:
    """Measures the stages of an experiment.

    Args:
        stages: those that are unfinished, checked, by name and in order.
        work_dir: of the experiment; it need not exist.
        measured: seconds of timed steps for each training.
    """

    def __init__(self, stages: Mapping[str, Stage], work_dir: Path, measured: float = 1.5) -> None:
        self._stages = stages
        self._work_dir = work_dir
        self._measured = measured
        self._memory = 0
        self._disk = 0

    def forecast(self) -> Forecast:
        """Measure all of it.

        Raises:
            UserError: there is too little memory or disk, or a first step fails.
        """
        problems = Problems()
        seconds: dict[str, float] = {}
        for name, stage in self._stages.items():
            with problems:
                seconds[name] = self._seconds(stage)
        networks: list[NetworkCosts] = []
        with problems:
            if self._plan is not None and "head" not in self._plan.config.model:  # a classifier
                networks = list(network_costs(self._plan))
        memory, disk = (self._memory, available_memory()), (self._disk, self._free)
        with problems:
            _require(memory, disk, self._work_dir)
        problems.raise_found()
        plan = self._plan
        return Forecast(
            f"{device_name(torch.device(get_device()))}, {torch.get_num_threads()} threads",
            seconds,
            memory,
            disk,
            0 if plan is None else plan.costs.sampler.count,
            "" if plan is None else ", ".join(map(str, plan.costs.sampler.budgets)),
            networks,
        )

    @property
    def _free(self) -> int:
        folder = self._work_dir.absolute()
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free

    @cached_property
    def _plan(self) -> SearchPlan | None:
        stage = self._stages.get("search")
        return None if stage is None else plan_search(stage.config, _recorded(stage.work_dir))

    @cached_property
    def _scoring(self) -> ScoringPace | None:
        plan = self._plan
        return None if plan is None else measure_scoring(plan.config, plan.settings.evaluator)

    def _seconds(self, stage: Stage) -> float:
        if isinstance(stage, CompareStage):
            plan = stage.plan
            example = plan.example()
            each = 0.0 if example is None else self._training(example)
            stock = sum(self._training(config) for config in plan.stock.values())
            return each * len(plan.settings.networks) + stock
        if isinstance(stage, TrainingStage):
            return self._training(stage.config)
        if isinstance(stage, SearchStage):
            return self._search(stage)
        if isinstance(stage, TestStage) and self._scoring is not None:
            return START + _images(stage.config.test_dataloader) * self._scoring.scoring
        return START

    def _training(self, config: Config) -> float:
        pace = measure_training(config, self._measured)
        self._memory = max(self._memory, pace.memory)
        self._disk += CHECKPOINTS * 2 * _weights(config)
        steps = _steps(config) - _done(Path(config.work_dir))
        return START + max(0, steps) * pace.step

    def _search(self, stage: SearchStage) -> float:
        plan, pace = self._plan, self._scoring
        assert plan is not None, "there is a search"
        assert pace is not None, "there is a search"
        candidate = pace.candidate(
            plan.settings.evaluator,
            _images(stage.config.train_dataloader),
            _images(stage.config.val_dataloader),
        )
        file = stage.work_dir / FILE_NAME
        done = len(SearchHistory.read(file).rows) if file.is_file() else 0
        left = plan.strategy.planned + plan.settings.random_baseline - done
        return START + max(0, left) * candidate / (plan.settings.executor.workers or 1)


def _recorded(work_dir: Path) -> Mapping[str, Any] | None:
    file = work_dir / FILE_NAME
    return SearchHistory.read(file).fingerprint if file.is_file() else None


def _steps(config: Config) -> int:
    loop = config.train_cfg
    if loop.get("max_iters") is not None:
        return int(loop.max_iters)
    batches = _images(config.train_dataloader) // (config.train_dataloader.batch_size or 1)
    return int(loop.get("max_epochs", 0)) * max(1, batches)


def _done(work_dir: Path) -> int:
    """Steps of a training that was interrupted."""
    latest = latest_checkpoint(work_dir)
    return int(latest.stem.removeprefix("iter_")) if latest and "iter" in latest.stem else 0


def _images(loader: Mapping[str, Any]) -> int:
    with quiet_stdout():
        parts = [DATASETS.build(each) for each in unwrap_dataset(loader["dataset"])]
    return sum(map(len, parts))


def _weights(config: Config) -> int:
    """Bytes of the weights of a config's model."""
    config = deepcopy(config)
    give_architecture(config)
    with torch.device("meta"):
        model = build_random_model(config)
    return 4 * parameters(model)


def _require(memory: tuple[int, int], disk: tuple[int, int], work_dir: Path) -> None:
    problems = Problems()
    if memory[0] > memory[1]:
        problems.add(
            UserError(
                f"a step of the largest path takes {memory[0] / GB:.1f} GB of memory, and there "
                f"are {memory[1] / GB:.1f} GB: lower batch_size or image_scale"
            )
        )
    if disk[0] > disk[1]:
        problems.add(
            UserError(
                f"{work_dir}: the checkpoints take about {disk[0] / GB:.1f} GB, and "
                f"{disk[1] / GB:.1f} GB are free: free some, or choose another --work-dir"
            )
        )
    problems.raise_found()
