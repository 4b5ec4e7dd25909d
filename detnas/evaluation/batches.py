"""Data loaders of an evaluator: the calibration images, the scored split, and their cache.

Batches are of images that are padded to one shape, so that the padding of an image does not depend
on who else is in its batch.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
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
        The loader, with batches of `batch_size` of any shapes, and its number of images: all of the
        split if it has fewer than `images`.
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


def group_by_shape(shapes: Sequence[tuple[int, int]], batch_size: int) -> list[list[int]]:
    """Places of images in batches of one shape, a function of the shapes alone.

    Args:
        shapes: the padded height and width of each image.
        batch_size: images in one batch at most.
    Returns:
        The batches, in the order in which the shapes first occur. Images of one shape keep their
        order.
    """
    places: dict[tuple[int, int], list[int]] = {}
    for place, shape in enumerate(shapes):
        places.setdefault(shape, []).append(place)
    return [
        same[start : start + batch_size]
        for same in places.values()
        for start in range(0, len(same), batch_size)
    ]


class EqualShapeBatches:
    """A loader's images in batches of one padded shape, cached in memory as far as they fit.

    The first pass loads the images in the loader's order to find their shapes after the pipeline.
    The first ones are kept; batches with images that do not fit are loaded again in every pass.
    Every pass gets fresh copies of the data samples, so that changes by a model do not reach the
    next pass.

    Args:
        loader: its images, batch size at most, pipeline and workers are used, not its batches.
        divisor: the model pads height and width to multiples of it.
        megabytes: for the images that are kept.
    Attributes:
        order: for each image in the order of the batches, its place in the loader's order; empty
            before the first pass.
    """

    def __init__(self, loader: DataLoader, divisor: int, megabytes: int) -> None:
        self._loader = loader
        self._divisor = divisor
        self._limit = megabytes * 2**20
        self._items: list[dict[str, Any]] = []
        self._indices: list[int] = []
        self._places: list[list[int]] | None = None
        self.order: list[int] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self._places is None:
            self._places = self._find_shapes()
            self.order = [place for batch in self._places for place in batch]
        kept = len(self._items)
        others = [batch for batch in self._places if max(batch) >= kept]
        loaded: Iterator[dict[str, Any]] = iter(())
        if others:
            indices = [[self._indices[place] for place in batch] for batch in others]
            loaded = iter(_loader_of(self._loader, indices, self._collate))
        for batch in self._places:
            if max(batch) < kept:
                yield self._collate([_fresh(self._items[place]) for place in batch])
            else:
                yield next(loaded)

    def _find_shapes(self) -> list[list[int]]:
        """The batches as places in the loader's order; keeps as many images as fit."""
        sampler: Any = self._loader.batch_sampler
        self._indices = [index for batch in sampler for index in batch]
        self._items = []
        shapes = []
        size, is_full = 0, False
        alone = [[index] for index in self._indices]
        for (item,) in _loader_of(self._loader, alone, list):
            shapes.append(self._padded(item["inputs"].shape))
            is_full = is_full or size + item["inputs"].nbytes > self._limit
            if not is_full:
                size += item["inputs"].nbytes
                self._items.append(_own(item) if self._loader.num_workers else item)
        if is_full:
            _say_how_many_fit(len(self._items), len(shapes), self._limit)
        return group_by_shape(shapes, sampler.batch_size)

    @property
    def _collate(self) -> Callable[[list[dict[str, Any]]], Any]:
        return self._loader.collate_fn

    def _padded(self, shape: Sequence[int]) -> tuple[int, int]:
        height, width = (-(-side // self._divisor) * self._divisor for side in shape[-2:])
        return height, width


class CachedBatches:
    """A loader's own batches, cached in memory during the first pass as far as they fit.

    All candidates use the same images, which then need decoding only once. Every pass gets fresh
    copies of the data samples, so that changes by a model do not reach the next pass.

    Args:
        loader: has the same batches in every pass.
        megabytes: for the batches that are kept, which are the first ones; the others are loaded in
            every pass.
    """

    def __init__(self, loader: DataLoader, megabytes: int) -> None:
        self._loader = loader
        self._limit = megabytes * 2**20
        self._kept: list[dict[str, Any]] = []
        self._others: list[list[int]] | None = None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self._others is None:
            yield from self._first_pass()
            return
        yield from map(_fresh, self._kept)
        if self._others:
            yield from _loader_of(self._loader, self._others, self._loader.collate_fn)

    def _first_pass(self) -> Iterator[dict[str, Any]]:
        indices: list[list[int]] = list(self._loader.batch_sampler)  # type: ignore[arg-type]
        kept = []
        size, is_full = 0, False
        for batch in self._loader:
            size += sum(tensor.nbytes for tensor in batch["inputs"])
            is_full = is_full or size > self._limit
            if (
                not is_full
            ):  # tensors of a loader's worker are in shared memory, and keep files open
                kept.append(_own(batch) if self._loader.num_workers else batch)
            yield _fresh(batch)
        self._kept, self._others = kept, indices[len(kept) :]
        if is_full:
            _say_how_many_fit(
                sum(map(len, indices[: len(kept)])), sum(map(len, indices)), self._limit
            )


def _say_how_many_fit(kept: int, images: int, limit: int) -> None:
    print(
        f"{kept} of {images} images fit into search.evaluator.cache_mb={limit >> 20}; the others "
        "are loaded for every candidate",
        file=sys.stderr,
        flush=True,
    )


def _loader_of(
    ours: DataLoader,
    batches: list[list[int]],
    collate: Callable[[list[dict[str, Any]]], Any] | None,
) -> DataLoader:
    """A loader like ours, of batches with other images."""
    return DataLoader(
        ours.dataset,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=ours.num_workers,
        worker_init_fn=ours.worker_init_fn,
        timeout=ours.timeout,
    )


def _own(batch: dict[str, Any]) -> dict[str, Any]:
    """A copy of a batch or an image in this process's memory."""
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
