"""Order, augmentation and steps as functions of (seed, step)."""

import pickle
import random
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from detnas.training.seeding import (
    SeededDataset,
    SeededIndex,
    SeededSampler,
    derive_seed,
    seed_everything,
    seeded_dataloader,
)


class _Noise:
    """Ten items, each with numbers from all three global generators."""

    metainfo: ClassVar[dict[str, Any]] = {"classes": ("a",)}

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[int, float, float, float]:
        draws = (random.random(), np.random.rand(), torch.rand(1).item())  # noqa: NPY002
        return int(index), *draws


def _take(sampler: SeededSampler, n: int) -> list[int]:
    iterator = iter(sampler)
    return [next(iterator) for _ in range(n)]


def test_every_epoch_is_a_new_permutation_of_all_items() -> None:
    stream = _take(SeededSampler(_Noise(), seed=1, infinite=True), 30)
    epochs = [stream[i : i + 10] for i in (0, 10, 20)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


@pytest.mark.parametrize("skipped", [1, 7, 10, 25])
def test_skipping_continues_the_stream(skipped: int) -> None:
    whole = _take(SeededSampler(_Noise(), seed=1, infinite=True), 40)
    sampler = SeededSampler(_Noise(), seed=1, infinite=True)
    sampler.skip(skipped)
    rest = _take(sampler, 40 - skipped)
    assert rest == whole[skipped:]
    assert [i.seed for i in rest] == [i.seed for i in whole[skipped:]]


def test_single_epochs_equal_those_of_the_infinite_stream() -> None:
    stream = _take(SeededSampler(_Noise(), seed=1, infinite=True), 20)
    sampler = SeededSampler(_Noise(), seed=1)
    assert list(sampler) == stream[:10]
    sampler.set_epoch(1)
    assert list(sampler) == stream[10:]


def test_items_depend_neither_on_earlier_draws_nor_on_the_process() -> None:
    dataset = SeededDataset(_Noise())
    index = SeededIndex(3, seed=77)
    seed_everything(0)
    first = dataset[index]
    seed_everything(123)
    assert dataset[index] == first
    assert dataset[pickle.loads(pickle.dumps(index))] == first
    assert dataset[SeededIndex(3, seed=78)] != first


def test_wrapped_dataset_forwards_attributes_and_pickles() -> None:
    dataset: Any = pickle.loads(pickle.dumps(SeededDataset(_Noise())))
    assert dataset.metainfo == {"classes": ("a",)}
    assert len(dataset) == 10


def test_derived_seeds_differ_by_seed_use_and_parts() -> None:
    seeds = {
        derive_seed(s, u, a, b) for s in (0, 1) for u in (0, 1) for a in (0, 1) for b in (0, 1)
    }
    assert len(seeds) == 16


def test_known_samplers_are_replaced_and_others_kept() -> None:
    config = {"sampler": {"type": "InfiniteSampler", "shuffle": False}, "dataset": {"type": "X"}}
    seeded = seeded_dataloader(config, by_epoch=False, seed=5)
    assert seeded["sampler"] == {
        "type": "SeededSampler",
        "shuffle": False,
        "infinite": True,
        "seed": 5,
    }
    assert seeded["dataset"] == {"type": "SeededDataset", "dataset": {"type": "X"}}
    assert config["dataset"] == {"type": "X"}
    config["sampler"] = {"type": "ClassAwareSampler"}
    assert seeded_dataloader(config, True, 5)["sampler"] == {"type": "ClassAwareSampler"}


class _Photographs(_Noise):
    """Thirty images, every third upright."""

    def __len__(self) -> int:
        return 30

    def get_data_info(self, index: int) -> dict[str, int]:
        return {"width": 3 if index % 3 else 2, "height": 3 if index % 3 == 0 else 2}


def test_every_batch_has_one_orientation() -> None:
    sampler = SeededSampler(_Photographs(), seed=1, infinite=True, same_orientation=4)
    # 10 upright images make 2 groups of 4, 20 wide ones 5: an epoch has 28.
    stream = _take(sampler, 3 * 28)
    for start in range(0, len(stream), 4):
        assert len({index % 3 == 0 for index in stream[start : start + 4]}) == 1
    epochs = [stream[i : i + 28] for i in (0, 28, 56)]
    assert all(len(set(epoch)) == 28 for epoch in epochs)
    assert len({tuple(sorted(set(range(30)) - set(epoch))) for epoch in epochs}) > 1
    kinds = [[index % 3 == 0 for index in epoch[::4]] for epoch in epochs]
    assert len({tuple(kind) for kind in kinds}) > 1  # groups are shuffled, too
    sampler.skip(30)
    assert _take(sampler, 20) == stream[30:50]


def test_aspect_ratio_batch_sampler_is_replaced() -> None:
    config = {
        "batch_size": 2,
        "sampler": {"type": "DefaultSampler"},
        "batch_sampler": {"type": "mmdet.AspectRatioBatchSampler"},
        "dataset": {"type": "X"},
    }
    seeded = seeded_dataloader(config, by_epoch=False, seed=5)
    assert seeded["sampler"]["same_orientation"] == 2
    assert "batch_sampler" not in seeded
    with pytest.raises(ValueError, match="no 40 of the 30"):
        SeededSampler(_Photographs(), seed=1, same_orientation=40)
