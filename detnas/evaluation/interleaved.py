"""Times several functions in turn, so that a slow moment of the machine meets all of them."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from detnas.evaluation.latency import Clock
from detnas.networks.freed_memory import keep_freed_memory

ProgressCallback = Callable[[int, int], None]


def interleaved_latencies(
    runs: Sequence[Callable[[], object]],
    device: torch.device,
    rounds: int,
    warm_up: int = 3,
    progress: ProgressCallback | None = None,
    uncounted: int = 1,
) -> np.ndarray:
    """Milliseconds of each function in each round, (rounds, functions).

    Each round runs all functions in a random order.

    Args:
        runs: the functions.
        device: on which they work.
        rounds: that are timed.
        warm_up: rounds before them.
        progress: called after every round with the number of finished rounds and of all rounds.
        uncounted: passes of a function before the one that is timed, which load the weights into
            the cache.
    """
    keep_freed_memory()
    rng = np.random.default_rng(0)
    times = np.empty((warm_up + rounds, len(runs)))
    for number, row in enumerate(times, 1):
        for index in rng.permutation(len(runs)):
            for _ in range(uncounted):
                runs[index]()
            clock = Clock(device)
            runs[index]()
            clock.mark()
            row[index] = clock.milliseconds()[0]
        if progress is not None:
            progress(number, len(times))
    return times[warm_up:]
