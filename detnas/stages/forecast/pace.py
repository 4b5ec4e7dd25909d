"""Measures what a training step takes on this machine.

The stage's own config runs for a few steps on its own data, with random weights, in a temporary
folder. Nothing of it stays.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import Hook

from detnas.errors import explained
from detnas.evaluation.evaluator import quiet_stdout
from detnas.models.backbones import DetNASSupernet
from detnas.models.checkpoints import unwrapped
from detnas.stages.checks import awaits_architecture, backbone_kind
from detnas.stages.forecast.memory import used_memory
from detnas.training.runner import DetNASRunner
from search_space.architecture import Choices
from search_space.cost import macs_table
from search_space.sampling import BudgetSampler
from search_space.spaces import SearchSpace, parse_space

START = 20.0
"""Seconds that a stage takes to start, and to write its results, about."""
WARM = 2
"""Steps that are not timed: the first one has the largest path, and all memory is new."""
MOST_STEPS, LEAST_STEPS = 30, 3
PATHS = "PathSamplingHook"


@dataclass(frozen=True)
class TrainingPace:
    """A step of a training.

    Attributes:
        step: seconds, data loading included; of a supernet the median over random paths.
        memory: bytes that this process, or the GPU, held at most, with the largest path.
    """

    step: float
    memory: int


class _Clock(Hook):
    """Times steps, and ends the training after enough of them."""

    priority = "VERY_LOW"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last = 0.0
        self.times: list[float] = []
        self.memory = 0

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Takes the largest path first."""
        backbone = unwrapped(runner.model).backbone
        if runner.iter == 0 and isinstance(backbone, DetNASSupernet):
            backbone.set_path(largest_path(backbone.space))

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Notes the time since the last step."""
        if get_device() == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        if runner.iter >= WARM:
            self.times.append(now - self._last)
        self._last = now
        self.memory = used_memory()
        if len(self.times) >= LEAST_STEPS and sum(self.times) > self._seconds:
            runner.train_loop.stop_training = True


def largest_path(space: SearchSpace) -> Choices:
    """The path of the most multiply-adds."""
    rows = macs_table(space).entries
    return tuple(max(row, key=row.__getitem__) for row in rows)


def measure_training(config: Config, seconds: float = 4.0) -> TrainingPace:
    """Train for a few steps of the config's data, batch size and model, from random weights.

    Args:
        config: of a training stage, checked. Weights to begin from need not exist.
        seconds: for the steps that are timed, about.
    Raises:
        UserError: a step fails, as for a lack of memory.
    """
    clock = _Clock(seconds)
    with tempfile.TemporaryDirectory() as folder, quiet_stdout(), undisturbed():
        config = _short(config, Path(folder))
        with explained("a first step of the training"), _out_of_memory_explained(config):
            runner = DetNASRunner.from_cfg(config)
            runner.register_hook(clock)
            super(DetNASRunner, runner).train()  # a signal ends it at once, without a checkpoint
    return TrainingPace(float(np.median(clock.times)), clock.memory)


def _short(config: Config, folder: Path) -> Config:
    """The config for a few steps that load no weights and leave nothing elsewhere."""
    config = deepcopy(config)
    config.work_dir = str(folder)
    config.load_from = None
    config.resume = False
    config.console_level = "CRITICAL"
    config.launcher = "none"
    config.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": MOST_STEPS + WARM}
    config.param_scheduler = None
    config.optim_wrapper.optimizer.lr = 1e-6  # weights stay finite
    config.optim_wrapper.pop("accumulative_counts", None)
    config.default_hooks = {"checkpoint": None, "param_scheduler": None}
    config.visualizer = None
    for split in ("val", "test"):
        for part in ("dataloader", "evaluator", "cfg"):
            config[f"{split}_{part}"] = None
    kept = [hook for hook in config.get("custom_hooks") or [] if hook["type"] == PATHS]
    config.custom_hooks = [{**hook, "warmup_iters": 0} for hook in kept]
    give_architecture(config)
    config.model.backbone.pop("init_cfg", None)
    return config


def give_architecture(config: Config) -> None:
    """Put a random architecture of the space where the search has not found one yet."""
    if backbone_kind(config) == "DetNASNet" and awaits_architecture(config):
        space = parse_space(config.model.backbone.space)
        choices = random_path(space)
        config.model.backbone.architecture = {
            "space": space.to_dict(),
            "choices": choices,
            "channel_shuffle": "even_odd",
        }


def random_path(space: SearchSpace) -> list[int]:
    """A path drawn uniformly, always the same."""
    drawn: list[int] = BudgetSampler(space).sample(np.random.default_rng(0), 1)[0].tolist()
    return drawn


@contextmanager
def undisturbed() -> Iterator[None]:
    """Restore torch's random state and number of threads."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        yield
    torch.set_num_threads(threads)


@contextmanager
def _out_of_memory_explained(config: Config) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        size = config.train_dataloader.get("batch_size")
        raise RuntimeError(
            f"the largest path does not fit into the GPU's memory with batch_size {size}: lower it"
        ) from error
