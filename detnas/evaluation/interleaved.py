"""Times several functions in turn, so that a slow moment of the machine meets all of them."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from detnas.evaluation.latency import Clock, keep_freed_memory

ProgressCallback = Callable[[int, int], None]


@torch.inference_mode()
def interleaved_latencies(
    runs: Sequence[Callable[[], object]],
    device: torch.device,
    rounds: int,
    warm_up: int = 3,
    progress: ProgressCallback | None = None,
) -> np.ndarray:
    """Milliseconds of each function in each round, (rounds, functions).

    Each round runs all functions in a random order. A function runs twice in a row; the first pass
    is not counted, as it loads the weights into the cache.

    Args:
        runs: the functions.
        device: on which they work.
        rounds: that are timed.
        warm_up: rounds before them.
        progress: called after every round with the number of finished rounds and of all rounds.
    """
    keep_freed_memory()
    rng = np.random.default_rng(0)
    times = np.empty((warm_up + rounds, len(runs)))
    for number, row in enumerate(times, 1):
        for index in rng.permutation(len(runs)):
            runs[index]()
            clock = Clock(device)
            runs[index]()
            clock.mark()
            row[index] = clock.milliseconds()[0]
        if progress is not None:
            progress(number, len(times))
    return times[warm_up:]
