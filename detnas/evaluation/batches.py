"""Loaders of an evaluator: the calibration images, the scored split, and their cache."""

from collections.abc import Iterator, Mapping
from copy import copy, deepcopy
from typing import Any

import numpy as np
import torch
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from torch.utils.data import ConcatDataset, DataLoader, Subset

from detnas.config import unwrap_dataset

CALIBRATION = 4  # apart from the uses in detnas.training.seeding


def calibration_loader(
    train_dataloader: Mapping[str, Any],
    test_dataloader: Mapping[str, Any],
    images: int,
    batch_size: int,
    seed: int,
) -> tuple[DataLoader, int]:
    """The first `images` of a seeded permutation of the training split, through the test pipeline.

    Returns:
        The loader, in batches of `batch_size`, and how many images it holds: all of the split
        where it has fewer than asked.
    """
    pipeline = unwrap_dataset(test_dataloader["dataset"])[0]["pipeline"]
    parts = []
    for config in unwrap_dataset(train_dataloader["dataset"]):
        config.update(pipeline=deepcopy(pipeline), test_mode=True)
        config.pop("filter_cfg", None)  # of boxes to train on; XMLDataset refuses it in test mode
        dataset = DATASETS.build(config)
        dataset.full_init()
        parts.append(dataset)
    whole: ConcatDataset[Any] = ConcatDataset(parts)
    order = np.random.default_rng([seed, CALIBRATION]).permutation(len(whole))[:images]
    workers = int(test_dataloader.get("num_workers", 0))
    loader = DataLoader(
        Subset(whole, order.tolist()), batch_size, num_workers=workers, collate_fn=_as_list
    )
    return loader, len(order)


def _as_list(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: [item[key] for item in items] for key in items[0]}


def scored_loader(dataloader: Mapping[str, Any], seed: int) -> DataLoader:
    """The loader of a split that is scored, as mmengine builds it; its workers do not linger."""
    config = deepcopy(dict(dataloader)) | {"persistent_workers": False}
    return Runner.build_dataloader(config, seed=seed)


class CachedBatches:
    """A loader's batches, kept in memory from the first pass on while they fit.

    Candidates share the same images; decoding them once is enough. What a model does to the
    samples of one pass is not seen by the next.

    Args:
        loader: gives the same batches at every pass.
        megabytes: where the images take more, nothing is kept and every pass loads them anew.
    """

    def __init__(self, loader: DataLoader, megabytes: int) -> None:
        self._loader = loader
        self._limit = megabytes * 2**20
        self._kept: list[dict[str, Any]] | None = None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self._kept is not None:
            yield from map(_fresh, self._kept)
            return
        batches: list[dict[str, Any]] = []
        size = 0
        for batch in self._loader:
            size += _tensor_bytes(batch["inputs"])
            if size <= self._limit:
                batches.append(self._to_keep(batch))
            else:
                batches.clear()
            yield _fresh(batch)
        if size <= self._limit:
            self._kept = batches

    def _to_keep(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A copy in this process's memory: what a loader's worker sends holds open files."""
        if self._loader.num_workers == 0:
            return batch
        inputs = batch["inputs"]
        kept = inputs.clone() if isinstance(inputs, torch.Tensor) else [i.clone() for i in inputs]
        return {**batch, "inputs": kept, "data_samples": deepcopy(batch["data_samples"])}


def _tensor_bytes(inputs: Any) -> int:
    tensors = [inputs] if isinstance(inputs, torch.Tensor) else inputs
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _fresh(batch: dict[str, Any]) -> dict[str, Any]:
    fresh = copy(batch)
    fresh["data_samples"] = deepcopy(batch["data_samples"])
    if isinstance(batch["inputs"], list):
        fresh["inputs"] = list(batch["inputs"])
    return fresh
