"""Randomness as a function of (seed, step): data order, augmentation, paths, RoI sampling, dropout.

It depends neither on earlier random numbers nor on the number of loader workers, so a resumed run
equals an uninterrupted one exactly.
"""

import random
from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import count
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_dist_info
from mmengine.hooks import Hook
from mmengine.registry import DATA_SAMPLERS, DATASETS, HOOKS
from torch.utils.data import Sampler, get_worker_info

from detnas.errors import UserError

# A number per use, so that two uses of the same (seed, step) draw different numbers.
ORDER, AUGMENTATION, STEP, PATH = range(4)


def derive_seed(seed: int, use: int, *parts: int) -> int:
    """A 32-bit seed from the run's seed, the use and `parts`."""
    return int(np.random.SeedSequence([seed, use, *parts]).generate_state(1)[0])


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, numpy and torch.

    torch.manual_seed is for processes with an accelerator. Elsewhere it notes, at a cost of up to
    half a millisecond an image, from where the generators of GPUs are to be seeded later.
    """
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - OpenMMLab's transforms draw from the global generator
    if get_worker_info() is None and torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


class SeededIndex(int):
    """A dataset index that carries the seed of its augmentation to the loader worker."""

    seed: int

    def __new__(cls, index: int, seed: int) -> "SeededIndex":
        """Create an int equal to `index`."""
        self = super().__new__(cls, index)
        self.seed = seed
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return SeededIndex, (int(self), self.seed)


@DATA_SAMPLERS.register_module()
class SeededSampler(Sampler[int]):
    """Shuffled indices of one epoch, or of endless epochs, distributed over the ranks in turn.

    Args:
        dataset: anything with a length.
        seed: the run's seed.
        shuffle: draw a new permutation each epoch; otherwise keep the order of the dataset.
        infinite: continue over the epochs (for iteration-based loops); otherwise stop after one
            epoch, rounded up so that all ranks have the same number of indices.
        same_orientation: size of groups of images, counted over all ranks, that are all upright or
            all wide, as in the batches of mmdet's AspectRatioBatchSampler. An epoch omits the few
            images that fill no group; they differ between epochs. 0 disables grouping.
    """

    def __init__(
        self,
        dataset: Any,
        seed: int,
        shuffle: bool = True,
        infinite: bool = False,
        same_orientation: int = 0,
    ) -> None:
        self.dataset = dataset
        self._seed = seed
        self._shuffle = shuffle
        self._infinite = infinite
        self._rank, self._world_size = get_dist_info()
        self._epoch = 0
        self._skipped = 0
        self._size = len(dataset)  # of an epoch
        self._group = same_orientation
        if same_orientation:
            infos = map(dataset.get_data_info, range(len(dataset)))
            self._upright = np.array([info["width"] < info["height"] for info in infos])
            kinds = [int(self._upright.sum()), int((~self._upright).sum())]
            self._size = sum(n // same_orientation * same_orientation for n in kinds)
            if self._size == 0:
                raise UserError(
                    f"no {same_orientation} of the {len(dataset)} training images have the same "
                    "orientation: use a smaller batch, or remove batch_sampler from the config"
                )

    def _order(self, epoch: int) -> np.ndarray:
        n = len(self.dataset)
        rng = np.random.default_rng([self._seed, ORDER, epoch])
        order = rng.permutation(n) if self._shuffle else np.arange(n)
        if not self._group:
            return order
        groups = []
        for kind in (order[self._upright[order]], order[~self._upright[order]]):
            whole = len(kind) // self._group
            groups.append(kind[: whole * self._group].reshape(whole, self._group))
        grouped = np.concatenate(groups)
        return (rng.permutation(grouped) if self._shuffle else grouped).ravel()

    def _positions(self) -> Iterator[tuple[int, int]]:
        """The epochs and places in their order of the indices of this rank."""
        if self._infinite:
            first = self._rank + self._skipped * self._world_size
            return (divmod(p, self._size) for p in count(first, self._world_size))
        places = range(self._rank, len(self) * self._world_size, self._world_size)
        return ((self._epoch, place % self._size) for place in places)

    def __iter__(self) -> Iterator[int]:
        known, order = -1, np.empty(0, int)
        for epoch, place in self._positions():
            if epoch != known:
                known, order = epoch, self._order(epoch)
            index = int(order[place])
            yield SeededIndex(index, derive_seed(self._seed, AUGMENTATION, epoch, index))

    def __len__(self) -> int:
        """Indices of this rank in an epoch; of all ranks together if the sampler is infinite."""
        return self._size if self._infinite else -(-self._size // self._world_size)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iterator."""
        self._epoch = epoch

    def skip(self, num_samples: int) -> None:
        """Skip `num_samples` indices of this rank; mmengine calls this on resuming."""
        self._skipped = num_samples


@DATASETS.register_module()
class SeededDataset:
    """A dataset that seeds the global generators for every item from its `SeededIndex`.

    Args:
        dataset: the inner dataset or its config; other attributes are forwarded to it.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset

    def __getitem__(self, index: int) -> Any:
        if isinstance(index, SeededIndex):
            seed_everything(index.seed)
        return self.dataset[index]

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def pipeline(self) -> Any:
        """The inner dataset's pipeline, which mmdet's PipelineSwitchHook replaces."""
        return self.dataset.pipeline

    @pipeline.setter
    def pipeline(self, pipeline: Any) -> None:
        self.dataset.pipeline = pipeline

    def __getattr__(self, name: str) -> Any:
        if name == "dataset":  # not set yet while unpickling
            raise AttributeError(name)
        return getattr(self.dataset, name)


def seeded_dataloader(dataloader: Mapping[str, Any], by_epoch: bool, seed: int) -> dict[str, Any]:
    """A train dataloader's config with order and augmentation as functions of (seed, step).

    `SeededSampler` replaces mmengine's DefaultSampler and InfiniteSampler, and with them mmdet's
    AspectRatioBatchSampler, whose batches depend on all earlier ones. Other samplers are kept, with
    whatever order they have.
    """
    config = deepcopy(dict(dataloader))
    sampler = dict(config.get("sampler") or {})
    if sampler.get("type") in ("DefaultSampler", "InfiniteSampler"):
        config["sampler"] = {
            "type": "SeededSampler",
            "shuffle": sampler.get("shuffle", True),
            "infinite": not by_epoch,
            "seed": seed,
        }
        batches = dict(config.get("batch_sampler") or {})
        if str(batches.get("type")).rpartition(".")[2] == "AspectRatioBatchSampler":
            del config["batch_sampler"]
            _, processes = get_dist_info()
            config["sampler"]["same_orientation"] = config["batch_size"] * processes
    config["dataset"] = {"type": "SeededDataset", "dataset": config["dataset"]}
    if config.get("num_workers", 0) == 0:
        config["persistent_workers"] = False  # torch rejects it without workers
    return config


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seeds the global generators of every rank at every step, for RoI sampling and dropout.

    Args:
        seed: the run's seed.
    """

    priority = "HIGHEST"  # before the path hook, which may compute gradients

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Seeds after the batch was loaded and before the forward pass."""
        seed_everything(derive_seed(self._seed, STEP, runner.iter, runner.rank))
