"""Rank correlations with bootstrap intervals over architectures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]
"""Pairs of columns of scores, all float [n]."""


@dataclass(frozen=True)
class Estimate:
    """A value and its percentile bootstrap interval.

    Attributes:
        value: nan if it is undefined (a column whose values are all equal).
        low: lower end of the interval; nan if no resample defines the value.
        high: upper end.
        resamples: those that define the value; the others have a column of equal values and are
            left out of the interval.
    """

    value: float
    low: float
    high: float
    resamples: int


@dataclass(frozen=True)
class Correlation:
    """Two rank correlations of the same columns: Kendall's tau-b and Spearman's rho."""

    tau: Estimate
    rho: Estimate


@dataclass(frozen=True)
class Draws:
    """tau and rho, row 0 and row 1, of the data and of its resamples.

    Attributes:
        values: float [2].
        resampled: float [2, resamples]; nan where undefined.
    """

    values: np.ndarray
    resampled: np.ndarray

    def __sub__(self, other: "Draws") -> "Draws":
        """The paired difference: both sides must come from the same `Bootstrap`."""
        return Draws(self.values - other.values, self.resampled - other.resampled)

    def summary(self, level: float) -> Correlation:
        """Values with the central interval of probability `level`."""
        tau, rho = (
            _estimate(float(value), draws, level)
            for value, draws in zip(self.values, self.resampled, strict=True)
        )
        return Correlation(tau, rho)


class Bootstrap:
    """Resamples architectures with replacement; all correlations see the same resamples.

    Args:
        n: number of architectures.
        resamples: how many.
        seed: of the resamples.
    """

    def __init__(self, n: int, resamples: int, seed: int) -> None:
        # How often each architecture occurs, [resamples, n].
        counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
        self._counts = counts.astype(float)

    def mean_correlation(self, pairs: Pairs) -> Draws:
        """tau and rho, each averaged over pairs of columns."""
        values = np.mean([[tau(x, y), rho(x, y)] for x, y in pairs], axis=0)
        counts = self._counts
        resampled = [[resampled_tau(x, y, counts), resampled_rho(x, y, counts)] for x, y in pairs]
        return Draws(values, np.mean(resampled, axis=0))


def tau(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-b; nan if all values of a column are equal."""
    return float(stats.kendalltau(x, y).statistic) if np.ptp(x) and np.ptp(y) else np.nan


def rho(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rho, with mean ranks for ties; nan if all values of a column are equal."""
    return float(stats.spearmanr(x, y).statistic) if np.ptp(x) and np.ptp(y) else np.nan


def resampled_tau(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`tau` of every resample, float [resamples].

    Args:
        x: float [n].
        y: float [n].
        counts: how often each row occurs in each resample, float [resamples, n].
    """
    signs = [np.sign(values[:, None] - values) for values in (x, y)]

    def pair_sum(of_pairs: np.ndarray) -> np.ndarray:
        total: np.ndarray = ((counts @ of_pairs) * counts).sum(axis=1)
        return total

    untied = pair_sum(signs[0] ** 2) * pair_sum(signs[1] ** 2)
    return _divided(pair_sum(signs[0] * signs[1]), np.sqrt(untied))


def resampled_rho(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`rho` of every resample, float [resamples]; arguments as in `resampled_tau`."""
    first, second = (_centred_ranks(values, counts) for values in (x, y))
    variances = (counts * first**2).sum(axis=1) * (counts * second**2).sum(axis=1)
    return _divided((counts * first * second).sum(axis=1), np.sqrt(variances))


def _centred_ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The rank of every value in each resample less the resample's mean rank, for ties too.

    It is half the number of smaller values minus that of larger ones: float [resamples, n].
    """
    return counts @ np.sign(values[:, None] - values).T / 2


def _divided(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    result = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def _estimate(value: float, draws: np.ndarray, level: float) -> Estimate:
    defined = draws[np.isfinite(draws)]
    if not len(defined):
        return Estimate(value, np.nan, np.nan, 0)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return Estimate(value, low, high, len(defined))
