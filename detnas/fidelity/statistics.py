"""Compares supernet scores (the proxy) with those of networks trained on their own (the truth).

All scores are higher-is-better. Intervals are over architectures: they say how the numbers vary
with the architectures compared, not with the seeds of the trainings.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from detnas.errors import UserError
from detnas.fidelity.correlation import Bootstrap, Correlation, Estimate
from detnas.fidelity.regret import Regret, regret_of

Scores = Sequence[float | None] | Sequence[Sequence[float | None]] | np.ndarray
"""Scores [n] or [n, columns]; None or nan where one is missing."""


@dataclass(frozen=True)
class CostBaseline:
    """What a cost alone predicts, as the baseline to beat.

    Attributes:
        alone: the cost with the mean truth; positive if expensive architectures are better.
        gain: the proxy's correlation minus this one, on the same resamples.
        beyond: the proxy with the mean truth after a linear regression on the cost is subtracted
            from both. The regression is fitted once, not per resample.
        regret: of picking the most expensive architectures.
    """

    alone: Correlation
    gain: Correlation
    beyond: Correlation
    regret: Regret


@dataclass(frozen=True)
class Fidelity:
    """How well proxy scores order architectures.

    Attributes:
        architectures: those compared, which have all scores and costs.
        dropped: those left out because one is missing.
        proxies: columns of the proxy.
        truths: columns of the truth.
        proxy: the proxy with the mean truth; the mean over the proxy's columns.
        costs: the baselines by the name of the cost.
        ceiling: the mean over pairs of truth columns: how well one training predicts another.
            None for one column.
        attainable: the highest rho that a proxy can be expected to have with the mean truth; see
            `attainable_rho`. None for one column.
        agreement: the mean over pairs of proxy columns. None for one column.
        regrets: what picks by each proxy column lose of the mean truth.
    """

    architectures: int
    dropped: int
    proxies: int
    truths: int
    proxy: Correlation
    costs: Mapping[str, CostBaseline]
    ceiling: Correlation | None
    attainable: Estimate | None
    agreement: Correlation | None
    regrets: tuple[Regret, ...]

    def to_dict(self) -> dict[str, Any]:
        """The values as plain data for JSON; nan becomes None."""
        plain: dict[str, Any] = _without_nan(asdict(self))
        return plain


def measure_fidelity(
    proxy: Scores,
    truth: Scores,
    costs: Mapping[str, Scores] | None = None,
    *,
    seed: int = 0,
    resamples: int = 2000,
    level: float = 0.95,
) -> Fidelity:
    """Compare proxy scores with stand-alone scores of the same architectures.

    Args:
        proxy: [n] or [n, columns], one column per supernet. An architecture without one of the
            scores or costs is left out.
        truth: [n] or [n, columns], one column per seed of the trainings.
        costs: by name, [n] each. The first one breaks ties of the proxy in `regrets`.
        seed: of the bootstrap.
        resamples: of the bootstrap.
        level: probability of the intervals.

    Raises:
        UserError: different lengths, values that are not numbers, or fewer than 3 architectures
            that have everything.
    """
    columns = {"proxy": _as_matrix("proxy", proxy), "truth": _as_matrix("truth", truth)}
    columns |= {name: _as_matrix(name, values) for name, values in (costs or {}).items()}
    kept, dropped = _complete(columns)
    proxies, truths, *others = (list(matrix.T) for matrix in kept)
    mean_truth = np.mean(truths, axis=0)
    n = len(mean_truth)
    bootstrap = Bootstrap(n, resamples, seed)
    against_truth = bootstrap.mean_correlation([(column, mean_truth) for column in proxies])
    cost_columns = dict(zip(costs or {}, (cost for (cost,) in others), strict=True))

    def baseline(cost: np.ndarray) -> CostBaseline:
        alone = bootstrap.mean_correlation([(cost, mean_truth)])
        residual_truth = _residuals(mean_truth, cost)
        beyond = bootstrap.mean_correlation(
            [(_residuals(column, cost), residual_truth) for column in proxies]
        )
        return CostBaseline(
            alone.summary(level),
            (against_truth - alone).summary(level),
            beyond.summary(level),
            regret_of(cost, mean_truth, cost),
        )

    def among(matrix: list[np.ndarray]) -> Correlation | None:
        pairs = list(combinations(matrix, 2))
        return bootstrap.mean_correlation(pairs).summary(level) if pairs else None

    ceiling = among(truths)
    tie_breaker = next(iter(cost_columns.values()), np.zeros(n))
    return Fidelity(
        architectures=n,
        dropped=dropped,
        proxies=len(proxies),
        truths=len(truths),
        proxy=against_truth.summary(level),
        costs={name: baseline(cost) for name, cost in cost_columns.items()},
        ceiling=ceiling,
        attainable=None if ceiling is None else attainable_rho(ceiling.rho, len(truths)),
        agreement=among(proxies),
        regrets=tuple(regret_of(column, mean_truth, tie_breaker) for column in proxies),
    )


def attainable_rho(between: Estimate, columns: int) -> Estimate:
    """The highest rho with the mean of the truth columns that noise of the trainings allows.

    By Spearman-Brown, the mean of k columns has the reliability r_k = k r / (1 + (k - 1) r), where
    r is the mean rho between two columns. Something that knows the true scores has the correlation
    sqrt(r_k) with that mean (Spearman 1904 and 1910, Brown 1910). This assumes that a score is the
    architecture's true one plus noise of the seed, independent and of the same variance
    everywhere. The formulas are for linear correlation; for ranks they are an approximation.
    A negative r counts as 0.
    """

    def of(r: float) -> float:
        if math.isnan(r):
            return r
        r = max(r, 0.0)
        return math.sqrt(columns * r / (1 + (columns - 1) * r))

    return Estimate(of(between.value), of(between.low), of(between.high), between.resamples)


def _as_matrix(name: str, values: Scores) -> np.ndarray:
    """The values as float [n, columns], nan where one is missing."""
    try:
        matrix = np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} must be numbers, equally many per architecture: {error}") from None
    if matrix.ndim not in (1, 2) or (matrix.ndim == 2 and not matrix.shape[1]):
        raise UserError(
            f"{name} must have the shape [architectures] or [architectures, columns], "
            f"not {list(matrix.shape)}"
        )
    return matrix.reshape(len(matrix), -1 if matrix.size else 1)


def _complete(columns: Mapping[str, np.ndarray]) -> tuple[list[np.ndarray], int]:
    """The rows that are finite in every matrix, and the number of the others."""
    first, *others = columns
    n = len(columns[first])
    for name in others:
        if len(columns[name]) != n:
            raise UserError(
                f"{first} has {n} architectures, {name} has {len(columns[name])}; "
                "give one value per architecture"
            )
    complete = np.isfinite(np.hstack(list(columns.values()))).all(axis=1)
    left = int(complete.sum())
    if left < 3:
        raise UserError(f"only {left} of {n} architectures have all scores; at least 3 are needed")
    return [matrix[complete] for matrix in columns.values()], n - left


def _residuals(values: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """What a linear function of the cost leaves of the values, float [n]."""
    centred, cost = values - values.mean(), cost - cost.mean()
    spread = cost @ cost
    if not spread:
        return centred
    residuals = centred - cost * (cost @ centred / spread)
    rounding = 1e-9 * np.abs(centred).max()
    return np.where(np.abs(residuals) > rounding, residuals, 0.0)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
