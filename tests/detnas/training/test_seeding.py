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
    """Ten items, each made of draws from all three global generators."""

    metainfo: ClassVar[dict[str, Any]] = {"classes": ("a",)}

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[int, float, float, float]:
        draws = (random.random(), np.random.rand(), torch.rand(1).item())  # noqa: NPY002
        return int(index), *draws


def _take(sampler: SeededSampler, n: int) -> list[int]:
    iterator = iter(sampler)
    return [next(iterator) for _ in range(n)]


def test_every_epoch_is_another_permutation_of_all_items() -> None:
    stream = _take(SeededSampler(_Noise(), seed=1, infinite=True), 30)
    epochs = [stream[i : i + 10] for i in (0, 10, 20)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


@pytest.mark.parametrize("skipped", [1, 7, 10, 25])
def test_skipping_joins_the_stream_where_it_was(skipped: int) -> None:
    whole = _take(SeededSampler(_Noise(), seed=1, infinite=True), 40)
    sampler = SeededSampler(_Noise(), seed=1, infinite=True)
    sampler.skip(skipped)
    rest = _take(sampler, 40 - skipped)
    assert rest == whole[skipped:]
    assert [i.seed for i in rest] == [i.seed for i in whole[skipped:]]


def test_one_epoch_equals_the_streams() -> None:
    stream = _take(SeededSampler(_Noise(), seed=1, infinite=True), 20)
    sampler = SeededSampler(_Noise(), seed=1)
    assert list(sampler) == stream[:10]
    sampler.set_epoch(1)
    assert list(sampler) == stream[10:]


def test_items_do_not_depend_on_what_was_drawn_before_nor_on_the_process() -> None:
    dataset = SeededDataset(_Noise())
    index = SeededIndex(3, seed=77)
    seed_everything(0)
    first = dataset[index]
    seed_everything(123)
    assert dataset[index] == first
    assert dataset[pickle.loads(pickle.dumps(index))] == first
    assert dataset[SeededIndex(3, seed=78)] != first


def test_wrapped_dataset_answers_for_the_inner_one_and_pickles() -> None:
    dataset: Any = pickle.loads(pickle.dumps(SeededDataset(_Noise())))
    assert dataset.metainfo == {"classes": ("a",)}
    assert len(dataset) == 10


def test_uses_parts_and_seeds_all_change_the_derived_seed() -> None:
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
