"""The cache of an evaluator's batches keeps tensors in this process's memory."""

from typing import Any

import torch
from torch.utils.data import DataLoader

from detnas.evaluation.batches import CachedBatches


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
