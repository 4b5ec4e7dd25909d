"""Data loaders of an evaluator: the calibration images, the scored split, and their batches.

Batches are of images that are padded to one shape, so that the padding of an image does not depend
on who else is in its batch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy, deepcopy
from functools import cached_property
from typing import Any

import numpy as np
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch.utils.data import ConcatDataset, DataLoader, Subset

from detnas.config import unwrap_dataset
from detnas.evaluation.kept_images import Item, Keep, Kept, keep_in_memory, loader_of

CALIBRATION = 4  # number of this random use; detnas.training.seeding has 0 to 3


def calibration_loader(
    train_dataloader: Mapping[str, Any],
    test_dataloader: Mapping[str, Any],
    images: int,
    batch_size: int,
    seed: int,
) -> DataLoader:
    """The first `images` of a seeded permutation of the training split, with the test pipeline.

    They are all of the split if it has fewer. The batches are of `batch_size` and of any shapes.
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
    return DataLoader(
        Subset(whole, order.tolist()), batch_size, num_workers=workers, collate_fn=_as_list
    )


def _as_list(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: [item[key] for item in items] for key in items[0]}


def scored_loader(dataloader: Mapping[str, Any], seed: int) -> DataLoader:
    """The loader of a split to score, as mmengine builds it, without persistent workers."""
    config = deepcopy(dict(dataloader)) | {"persistent_workers": False}
    return Runner.build_dataloader(config, seed=seed)


def padded(size: tuple[int, int], divisor: int) -> tuple[int, int]:
    """Height and width, each rounded up to a multiple of the divisor."""
    height, width = (-(-side // divisor) * divisor for side in size)
    return height, width


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


class Batches:
    """A split's images in batches, of which the first are kept in memory.

    All candidates use the same images, which then need decoding only once. The first pass loads all
    of them; batches with images that do not fit are loaded again in every pass. Every pass gets
    data samples of its own, so that what a model sets on them does not reach the next pass.

    Args:
        loader: makes or gives a loader. Its images, batch size at most, pipeline and workers are
            used, not its batches. It is called when images have to be loaded.
        limit: bytes for the images that are kept.
        divisor: the model pads height and width to multiples of it, and a batch is of images of one
            padded shape. None batches the images in their order, whatever their shapes.
        keep: where images are kept.
    """

    def __init__(
        self,
        loader: Callable[[], DataLoader],
        limit: int,
        divisor: int | None,
        keep: Keep = keep_in_memory,
    ) -> None:
        self._make_loader = loader
        self._limit = limit
        self._divisor = divisor
        self._keep = keep

    @property
    def images(self) -> int:
        """The number of images."""
        return sum(map(len, self.places))

    def part(self, chosen: Sequence[int]) -> "Batches":
        """Some of the images, by their places in the loader's order, in batches of their own.

        What is kept is kept once, and `order` has places in the whole.
        """
        part = copy(self)
        part._make_loader = lambda: self._loader
        part.__dict__.pop("_rest", None)
        part.__dict__.update(_kept=self._kept, places=self._grouped(chosen))
        return part

    @property
    def metainfo(self) -> Mapping[str, Any] | None:
        """That of the data set, such as its classes; None if it has none."""
        return self._kept.metainfo

    @property
    def order(self) -> list[int]:
        """For each image in the order of the batches, its place in the loader's order."""
        return [place for batch in self.places for place in batch]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        items, rest = self._kept.items, self._rest
        loaded = iter(()) if rest is None else iter(rest)
        for batch in self.places:
            if max(batch) < len(items):
                yield self._kept.collate([_fresh(items[place]) for place in batch])
            else:
                yield next(loaded)

    @cached_property
    def _loader(self) -> DataLoader:
        return self._make_loader()

    @cached_property
    def _kept(self) -> Kept:
        return self._keep(lambda: self._loader, self._limit)

    @cached_property
    def places(self) -> list[list[int]]:
        """The batches, as places in the loader's order."""
        return self._grouped(range(len(self._kept.shapes)))

    def _grouped(self, chosen: Sequence[int]) -> list[list[int]]:
        shapes = [self._padded(self._kept.shapes[place]) for place in chosen]
        batches = group_by_shape(shapes, self._kept.batch_size)
        return [[chosen[number] for number in batch] for batch in batches]

    def _padded(self, shape: tuple[int, int]) -> tuple[int, int]:
        return (0, 0) if self._divisor is None else padded(shape, self._divisor)  # any shapes

    @cached_property
    def _rest(self) -> DataLoader | None:
        """A loader of the batches with images that are not kept."""
        others = [batch for batch in self.places if max(batch) >= len(self._kept.items)]
        if not others:
            return None
        sampler: Any = self._loader.batch_sampler
        indices = [index for batch in sampler for index in batch]
        batches = [[indices[place] for place in batch] for batch in others]
        return loader_of(self._loader, batches, self._loader.collate_fn, persistent=True)


def _fresh(item: Item) -> Item:
    """An item whose data sample can be given predictions, as a model does, without harm.

    What the sample holds is shared: models and metrics set new values, and change none in place.
    """
    sample = item["data_samples"]
    if not isinstance(sample, BaseDataElement):
        return item | {"data_samples": deepcopy(sample)}
    fresh = copy(sample)
    for names in ("_metainfo_fields", "_data_fields"):
        fresh.__dict__[names] = set(sample.__dict__[names])
    return item | {"data_samples": fresh}
