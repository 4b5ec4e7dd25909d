"""Batches of an evaluator: of one padded shape, cached in this process's memory."""

from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.evaluator import BaseMetric, Evaluator
from torch.utils.data import DataLoader, Dataset

from detnas.evaluation.batches import CachedBatches, EqualShapeBatches, group_by_shape
from detnas.evaluation.evaluator import score


def as_lists(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: [item[key] for item in items] for key in items[0]}


def as_batch(items: list[int]) -> dict[str, Any]:
    return {"inputs": [torch.full((3, 4, 4), float(i)) for i in items], "data_samples": items}


def test_cached_images_are_not_in_shared_memory() -> None:
    loader = DataLoader(list(range(6)), 2, num_workers=1, collate_fn=as_batch)  # type: ignore[arg-type]
    batches = CachedBatches(loader, 10)
    first, second = list(batches), list(batches)
    assert [batch["data_samples"] for batch in second] == [[0, 1], [2, 3], [4, 5]]
    for one, other in zip(first, second, strict=True):
        for image, kept in zip(one["inputs"], other["inputs"], strict=True):
            assert torch.equal(image, kept)
            assert not kept.is_shared()


@pytest.mark.parametrize("workers", [0, 1])
def test_of_batches_that_do_not_all_fit_the_first_are_kept(
    workers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    loader = DataLoader(Images(), 2, num_workers=workers, collate_fn=as_lists)
    batches = CachedBatches(loader, 0)
    batches._limit = sum(3 * height * width for height, width in Images.sizes[:5])
    for _ in range(3):
        found = [[int(image[0, 0, 0]) for image in batch["inputs"]] for batch in batches]
        assert found == [[0, 1], [2, 3], [4, 5], [6]]
    assert "4 of 7 images fit into search.evaluator.cache_mb=0" in capsys.readouterr().err
    if not workers:  # otherwise another process counts
        assert loader.dataset.loaded == len(Images.sizes) + 2 * 3  # type: ignore[attr-defined]


shapes_of_images = st.lists(st.tuples(*[st.sampled_from([32, 64, 96])] * 2), max_size=40)


@given(shapes_of_images, st.integers(1, 5))
def test_batches_are_of_one_shape_and_keep_the_order(
    shapes: list[tuple[int, int]], batch_size: int
) -> None:
    batches = group_by_shape(shapes, batch_size)
    assert sorted(place for batch in batches for place in batch) == list(range(len(shapes)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        assert len({shapes[place] for place in batch}) == 1
        assert batch == sorted(batch)
    full = sum(len(batch) == batch_size for batch in batches)
    assert full == sum(shapes.count(shape) // batch_size for shape in set(shapes))


def test_images_of_one_shape_are_batched_in_order() -> None:
    assert group_by_shape([(64, 64)] * 5, 2) == [[0, 1], [2, 3], [4]]


class Images(Dataset[dict[str, Any]]):
    """Images of several sizes; counts how often one is loaded in this process."""

    sizes: ClassVar = [(30, 60), (64, 64), (32, 64), (33, 64), (64, 33), (64, 60), (60, 64)]

    def __init__(self) -> None:
        self.loaded = 0

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.loaded += 1
        image = torch.full((3, *self.sizes[index]), index, dtype=torch.uint8)
        return {"inputs": image, "data_samples": [index]}


def of_equal_shapes(workers: int, megabytes: int) -> EqualShapeBatches:
    loader = DataLoader(Images(), 2, num_workers=workers, collate_fn=as_lists)
    return EqualShapeBatches(loader, 32, megabytes)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("megabytes", [0, 10])
def test_batches_are_padded_to_the_same_shape(workers: int, megabytes: int) -> None:
    batches = of_equal_shapes(workers, megabytes)
    for _ in range(2):
        found = [[int(image[0, 0, 0]) for image in batch["inputs"]] for batch in batches]
        # 30 x 60 and 32 x 64 are padded to 32 x 64, all others to 64 x 64.
        assert found == [[0, 2], [1, 3], [4, 5], [6]]
    assert batches.order == [0, 2, 1, 3, 4, 5, 6]


def test_images_that_fit_are_loaded_once() -> None:
    for megabytes, times in ((10, 1), (0, 4)):  # to find the shapes, and in each of three passes
        batches = of_equal_shapes(0, megabytes)
        for _ in range(3):
            for batch in batches:
                batch["data_samples"][0].append("changed by a model")
        assert batches._loader.dataset.loaded == times * len(Images.sizes)  # type: ignore[attr-defined]
        assert [sample for batch in batches for sample in batch["data_samples"]] == [
            [place] for place in batches.order
        ]


@pytest.mark.parametrize("workers", [0, 1])
def test_of_images_that_do_not_all_fit_the_first_are_kept(workers: int) -> None:
    batches = of_equal_shapes(workers, 0)
    batches._limit = sum(3 * height * width for height, width in Images.sizes[:4])
    for _ in range(3):
        found = [[int(image[0, 0, 0]) for image in batch["inputs"]] for batch in batches]
        assert found == [[0, 2], [1, 3], [4, 5], [6]]
    assert len(batches._items) == 4
    if not workers:  # otherwise another process counts
        loaded = batches._loader.dataset.loaded  # type: ignore[attr-defined]
        assert loaded == len(Images.sizes) + 3 * 3


def test_metrics_get_results_in_the_order_of_the_sampler() -> None:
    """It may be one process's share of the images, whose last one only pads it."""

    class Metric(BaseMetric):
        def process(self, data_batch: Any, data_samples: Any) -> None:
            self.results += [sample[0] for sample in data_samples]

        def compute_metrics(self, results: list[Any]) -> dict[str, float]:
            assert results == [0, 3, 2, 1, 0]
            return {"count": len(results)}

    class Model(torch.nn.Module):
        def val_step(self, batch: dict[str, Any]) -> Any:
            return batch["data_samples"]

    loader = DataLoader(Images(), 2, sampler=[0, 3, 2, 1, 0], collate_fn=as_lists)
    batches = EqualShapeBatches(loader, 32, 10)
    metrics = Evaluator([Metric()])
    assert score(Model(), batches, metrics, 7) == {"count": 5}
    assert batches.order == [0, 2, 4, 1, 3]
