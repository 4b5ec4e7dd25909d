"""What is lost by trusting the order of supernet scores, and what random picks would lose."""

from dataclasses import dataclass

import numpy as np

from detnas.search.ranking import best_of_probabilities


@dataclass(frozen=True)
class Regret:
    """The best truth minus the truth of a pick, in the unit of the score.

    Attributes:
        first: regret of the proxy's first architecture.
        first_rank: its rank by truth, 1 for the best.
        first_percentile: 100 for the best architecture, 0 for the worst.
        top: regret of the best by truth among the proxy's first `size`.
        top_rank: its rank by truth.
        top_percentile: as `first_percentile`.
        size: 5, or the number of architectures if there are fewer.
        random_first: expected regret of one architecture picked uniformly at random.
        random_top: expected regret of the best by truth among `size` different random ones.
    """

    first: float
    first_rank: int
    first_percentile: float
    top: float
    top_rank: int
    top_percentile: float
    size: int
    random_first: float
    random_top: float


def regret_of(proxy: np.ndarray, truth: np.ndarray, cost: np.ndarray, size: int = 5) -> Regret:
    """The regret of picks by proxy.

    The order by proxy is that of a search: equal scores by lower cost, then by place. Truth is a
    measured score with noise, so the best truth is too high on average, and all regrets with it.

    Args:
        proxy: float [n], higher is better.
        truth: float [n], higher is better.
        cost: float [n], breaks ties of the proxy.
        size: of the larger pick.
    """
    n = len(truth)
    size = min(size, n)
    picks = np.lexsort((cost, -proxy))[:size]
    best, first, top = truth.max(), truth[picks[0]], truth[picks].max()
    ranks = [1 + int((truth > value).sum()) for value in (first, top)]
    percentiles = [100 * (n - rank) / (n - 1) for rank in ranks]
    return Regret(
        first=float(best - first),
        first_rank=ranks[0],
        first_percentile=percentiles[0],
        top=float(best - top),
        top_rank=ranks[1],
        top_percentile=percentiles[1],
        size=size,
        random_first=float(best - truth.mean()),
        random_top=float(best - np.sort(truth)[::-1] @ best_of_probabilities(n, size)),
    )
