"""Batches of an evaluator: of one padded shape, of images that are kept as far as they fit."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmdet.structures import DetDataSample
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.structures import InstanceData
from torch.utils.data import DataLoader, Dataset

from detnas.evaluation.batches import Batches, group_by_shape
from detnas.evaluation.evaluator import score
from detnas.evaluation.kept_images import Keep, SharedFolder, keep_in_memory

MUCH = 1 << 30


def as_lists(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: [item[key] for item in items] for key in items[0]}


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


def batches_of(
    workers: int = 0, limit: int = MUCH, divisor: int | None = 32, keep: Keep = keep_in_memory
) -> tuple[Batches, Images]:
    images = Images()
    loader = DataLoader(images, 2, num_workers=workers, collate_fn=as_lists)
    return Batches(lambda: loader, limit, divisor, keep), images


def numbers_in(batches: Batches) -> list[list[int]]:
    return [[int(image[0, 0, 0]) for image in batch["inputs"]] for batch in batches]


def where(kind: str, folder: Path) -> Keep:
    return keep_in_memory if kind == "memory" else SharedFolder.of_search(folder).keep("scored")


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("limit", [0, MUCH])
@pytest.mark.parametrize("kind", ["memory", "file"])
def test_batches_are_padded_to_the_same_shape(
    workers: int, limit: int, kind: str, tmp_path: Path
) -> None:
    batches, _ = batches_of(workers, limit, keep=where(kind, tmp_path))
    for _ in range(2):
        # 30 x 60 and 32 x 64 are padded to 32 x 64, all others to 64 x 64.
        assert numbers_in(batches) == [[0, 2], [1, 3], [4, 5], [6]]
    assert batches.order == [0, 2, 1, 3, 4, 5, 6]
    assert batches.images == 7


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_images_that_fit_are_loaded_once(kind: str, tmp_path: Path) -> None:
    for limit, times in ((MUCH, 1), (0, 4)):  # to find the shapes, and in each of three passes
        batches, images = batches_of(0, limit, keep=where(kind, tmp_path))
        for _ in range(3):
            for batch in batches:
                batch["data_samples"][0].append("changed by a model")
        assert images.loaded == times * len(Images.sizes)
        assert [sample for batch in batches for sample in batch["data_samples"]] == [
            [place] for place in batches.order
        ]


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("divisor", [32, None])
@pytest.mark.parametrize("kind", ["memory", "file"])
def test_of_images_that_do_not_all_fit_the_first_are_kept(
    workers: int,
    divisor: int | None,
    kind: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    limit = sum(3 * height * width for height, width in Images.sizes[:4])
    batches, images = batches_of(workers, limit + 200, divisor, where(kind, tmp_path))
    expected = [[0, 2], [1, 3], [4, 5], [6]] if divisor else [[0, 1], [2, 3], [4, 5], [6]]
    for _ in range(3):
        assert numbers_in(batches) == expected
    assert "4 of 7 images fit into search.evaluator.cache_mb=0;" in capsys.readouterr().err
    if not workers:  # otherwise another process counts
        assert images.loaded == len(Images.sizes) + 3 * 3


def test_a_sample_keeps_nothing_that_a_model_sets() -> None:
    class Samples(Images):
        def __getitem__(self, index: int) -> dict[str, Any]:
            truth = InstanceData(labels=torch.tensor([index]))
            sample = DetDataSample(metainfo={"img_id": index}, gt_instances=truth)
            return super().__getitem__(index) | {"data_samples": sample}

    loader = DataLoader(Samples(), 2, num_workers=0, collate_fn=as_lists)
    batches = Batches(lambda: loader, MUCH, 32)
    for _ in range(2):
        for batch in batches:
            for sample in batch["data_samples"]:
                assert set(sample.metainfo_keys()) == {"img_id"}
                assert set(sample.keys()) == {"gt_instances"}
                assert int(sample.gt_instances.labels) == sample.img_id
                sample.set_metainfo({"batch_input_shape": (64, 64), "img_id": 99})
                sample.pred_instances = InstanceData()
                del sample.gt_instances


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
    batches = Batches(lambda: loader, MUCH, 32)
    metrics = Evaluator([Metric()])
    assert score(Model(), batches, metrics, 7) == {"count": 5}
    assert batches.order == [0, 2, 4, 1, 3]
