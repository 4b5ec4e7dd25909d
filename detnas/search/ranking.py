"""The one order of candidates, for strategies and for histories, and the ranks of random picks."""

from collections.abc import Mapping
from math import comb

import numpy as np

RankKey = tuple[float, float, tuple[int, ...]]


def rank_key(score: float, costs: Mapping[str, float], place: tuple[int, ...]) -> RankKey:
    """Sorts the best candidate first: by score, then by the first cost, then by its place.

    Args:
        score: the higher the better.
        costs: by name; the lower the better.
        place: in the order of proposal.
    """
    return (-score, next(iter(costs.values())), place)


def best_of_probabilities(total: int, n: int) -> np.ndarray:
    """The probability of each rank to be the best of `n` different ones of `total`, exactly.

    Returns float [total], the best rank first; it sums to 1.
    """
    return np.array([comb(total - rank, n - 1) / comb(total, n) for rank in range(1, total + 1)])
