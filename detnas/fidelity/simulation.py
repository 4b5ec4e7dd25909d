"""What searches find: real strategies on a surrogate, and random search in a table, exactly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detnas.errors import UserError
from detnas.fidelity.surrogate import Surrogate
from detnas.search.costs import CandidateCosts
from detnas.search.ranking import best_of_probabilities
from detnas.search.strategies import Strategy, StrategySettings
from search_space.sampling import BudgetSampler

PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class Curves:
    """The true score of the architecture that is best by supernet score, during searches.

    Attributes:
        truth: by strategy, float [seeds, evaluations]; column n - 1 is after n evaluations.
    """

    truth: Mapping[str, np.ndarray]

    def mean(self, name: str) -> np.ndarray:
        """The mean over seeds, float [evaluations]."""
        mean: np.ndarray = self.truth[name].mean(axis=0)
        return mean

    def percentiles(self, name: str) -> np.ndarray:
        """`PERCENTILES` over seeds, float [percentiles, evaluations]."""
        return np.percentile(self.truth[name], PERCENTILES, axis=0)

    def difference(self, name: str, other: str) -> tuple[np.ndarray, np.ndarray]:
        """How much better `name` is than `other` in the same world, and its standard error.

        Both are float [evaluations]; the differences are paired by seed.
        """
        differences = self.truth[name] - self.truth[other]
        error = differences.std(axis=0, ddof=1) / np.sqrt(len(differences))
        return differences.mean(axis=0), error


def simulate(
    surrogate: Surrogate,
    sampler: BudgetSampler,
    strategies: Mapping[str, StrategySettings],
    seeds: Sequence[int],
) -> Curves:
    """Run each strategy once per seed; the seed is the strategy's and that of the scores.

    Args:
        surrogate: of the sampler's space.
        sampler: draws within the budget of the searches.
        strategies: settings by name; all must evaluate the same number of architectures.
        seeds: not negative.

    Raises:
        UserError: different numbers of evaluations, a surrogate of another space, or as in
            `StrategySettings.build`.
    """
    if sampler.space != surrogate.space:
        raise UserError(
            f"the surrogate is of space {surrogate.space.name!r}, the searches are in "
            f"{sampler.space.name!r}; use one space"
        )
    costs = CandidateCosts(sampler)
    planned = {
        name: settings.build(sampler, costs, 0).planned for name, settings in strategies.items()
    }
    if len(set(planned.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in planned.items())
        raise UserError(
            f"the strategies evaluate different numbers of architectures ({listed}); "
            "set generations and population so that they are equal"
        )
    return Curves(
        {
            name: np.stack(
                [_curve(settings.build(sampler, costs, seed), surrogate, seed) for seed in seeds]
            )
            for name, settings in strategies.items()
        }
    )


def _curve(strategy: Strategy, surrogate: Surrogate, seed: int) -> np.ndarray:
    """The true score of the best by proxy so far: float [evaluations]."""
    truths, proxies = [], []
    while proposals := strategy.ask():
        truth, proxy = surrogate.scores(proposals, seed)
        strategy.tell(list(zip(proposals, proxy.tolist(), strict=True)))
        truths.append(truth)
        proxies.append(proxy)
    proxy = np.concatenate(proxies)
    is_best = proxy == np.maximum.accumulate(proxy)
    best = np.maximum.accumulate(np.where(is_best, np.arange(len(proxy)), 0))
    return np.concatenate(truths)[best]


def curves_table(curves: Curves, evaluations: Sequence[int]) -> str:
    """Mean and percentiles over seeds after some numbers of evaluations, as aligned lines."""
    width = max(8, *map(len, curves.truth)) + 2
    columns = ["mean", *(f"{percentile}%" for percentile in PERCENTILES)]
    lines = [f"{'strategy':<{width}}{'evaluations':>11}" + "".join(f"{c:>10}" for c in columns)]
    for name in curves.truth:
        values = np.vstack([curves.mean(name), curves.percentiles(name)])
        for count in evaluations:
            shown = "".join(f"{value:>10.4f}" for value in values[:, count - 1])
            lines.append(f"{name:<{width}}{count:>11}{shown}")
    return "\n".join(lines)


@dataclass(frozen=True)
class RandomSearch:
    """The truth of the best by proxy among n different rows of a table.

    Attributes:
        sizes: the numbers n.
        mean: the expected truth, float [sizes].
        percentiles: `PERCENTILES` of the truth, float [percentiles, sizes].
    """

    sizes: tuple[int, ...]
    mean: np.ndarray
    percentiles: np.ndarray


def random_search_in_table(
    proxy: np.ndarray, truth: np.ndarray, sizes: Sequence[int]
) -> RandomSearch:
    """Random search among measured architectures: the exact distribution over all subsets.

    Args:
        proxy: float [n], higher is better; equal values count in the order of the rows.
        truth: float [n].
        sizes: numbers of evaluations, 1 to n each.

    Raises:
        UserError: columns of different lengths, a missing score, or a size out of range.
    """
    if len(proxy) != len(truth) or not np.isfinite([*proxy, *truth]).all():
        raise UserError("random search in a table needs both scores of every row; drop the others")
    for size in sizes:
        if not 1 <= size <= len(truth):
            raise UserError(f"size {size} must be between 1 and the {len(truth)} rows")
    by_proxy = truth[np.argsort(-proxy, kind="stable")]
    by_truth = np.argsort(by_proxy, kind="stable")
    means, percentiles = [], []
    for size in sizes:
        probabilities = best_of_probabilities(len(truth), size)
        means.append(by_proxy @ probabilities)
        reached = np.cumsum(probabilities[by_truth])
        places = np.searchsorted(reached, np.array(PERCENTILES) / 100 - 1e-12)
        percentiles.append(by_proxy[by_truth][places])
    return RandomSearch(tuple(sizes), np.array(means), np.array(percentiles).T)
