"""Data loaders of an evaluator: the calibration images, the scored split, and their cache."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from torch.utils.data import ConcatDataset, DataLoader, Subset

from detnas.config import unwrap_dataset

CALIBRATION = 4  # number of this random use; detnas.training.seeding has 0 to 3


def calibration_loader(
    train_dataloader: Mapping[str, Any],
    test_dataloader: Mapping[str, Any],
    images: int,
    batch_size: int,
    seed: int,
) -> tuple[DataLoader, int]:
    """The first `images` of a seeded permutation of the training split, with the test pipeline.

    Returns:
        The loader, with batches of `batch_size`, and its number of images: all of the split if it
        has fewer than `images`.
    """
    pipeline = unwrap_dataset(test_dataloader["dataset"])[0]["pipeline"]
    parts = []
    for config in unwrap_dataset(train_dataloader["dataset"]):
        config.update(pipeline=deepcopy(pipeline), test_mode=True)
        config.pop("filter_cfg", None)  # for training only; XMLDataset rejects it in test mode
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
    """The loader of a split to score, as mmengine builds it, without persistent workers."""
    config = deepcopy(dict(dataloader)) | {"persistent_workers": False}
    return Runner.build_dataloader(config, seed=seed)


class CachedBatches:
    """A loader's batches, cached in memory during the first pass if they fit.

    All candidates use the same images, which need decoding only once. Every pass gets fresh copies
    of the data samples, so that changes by a model do not reach the next pass.

    Args:
        loader: has the same batches in every pass.
        megabytes: if the images take more, nothing is cached and every pass loads them.
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
            size += sum(tensor.nbytes for tensor in batch["inputs"])
            if size <= self._limit:
                batches.append(self._cacheable(batch))
            else:
                batches.clear()
            yield _fresh(batch)
        if size <= self._limit:
            self._kept = batches

    def _cacheable(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A copy in this process's memory; tensors from a loader worker keep files open."""
        if self._loader.num_workers == 0:
            return batch
        inputs = batch["inputs"]
        kept = inputs.clone() if isinstance(inputs, torch.Tensor) else [i.clone() for i in inputs]
        return _fresh(batch) | {"inputs": kept}


def _fresh(batch: dict[str, Any]) -> dict[str, Any]:
    inputs = batch["inputs"]
    return {
        **batch,
        "inputs": list(inputs) if isinstance(inputs, list) else inputs,
        "data_samples": deepcopy(batch["data_samples"]),
    }
