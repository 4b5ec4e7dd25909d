"""Metrics of results that came in the order of batches, put in the order of the split before."""

import io
import numbers
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, redirect_stdout
from typing import Any

import numpy as np
from mmengine.evaluator import Evaluator


def quiet_stdout() -> AbstractContextManager[Any]:
    """Suppress what pycocotools prints to standard output."""
    return redirect_stdout(io.StringIO())


def evaluated(
    metrics: Evaluator, order: Sequence[int], size: int | None = None
) -> dict[str, float]:
    """The numeric metrics of the results that they hold.

    The order of results decides between equal scores, and which results pad the last share of a
    process.

    Args:
        order: for each result, its image's place in the split, or in this process's share of it.
        size: images of the split in all processes; None if the results are of all.
    """
    for metric in metrics.metrics:
        if len(metric.results) == len(order):  # one for each image
            metric.results[:] = [metric.results[number] for number in np.argsort(order)]
    with quiet_stdout():
        found: Mapping[str, Any] = metrics.evaluate(len(order) if size is None else size)
    return {key: float(value) for key, value in found.items() if isinstance(value, numbers.Real)}
