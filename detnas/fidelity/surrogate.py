"""Made-up scores for every architecture of a space, modelled on the rows of a table.

A table has a few dozen architectures of millions, so no strategy can search in it. The surrogate
gives any architecture a true and a supernet score that vary and correlate as the table's do. Its
scores are not measurements: `Surrogate.truth_fit` and `proxy_fit` say how much of the scores the
model explains on architectures that it was not fitted to.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detnas.errors import UserError
from detnas.fidelity.correlation import tau
from detnas.fidelity.ridge import Linear, cross_validated, fit_ridge
from detnas.fidelity.table import Table
from search_space.architecture import Choices
from search_space.cost import InputSize, macs_table
from search_space.sampling import BudgetSampler
from search_space.spaces import SearchSpace

MIN_ROWS = 10


@dataclass(frozen=True)
class Fit:
    """How well an additive model predicts rows that it was not fitted to, by 10-fold validation.

    Attributes:
        r2: the share of the variance that it explains; negative if it is worse than the mean.
        tau: Kendall's tau-b of predictions and scores.
    """

    r2: float
    tau: float


@dataclass(frozen=True)
class Surrogate:
    """True and supernet scores of any architecture; see `fit_surrogate`.

    Attributes:
        space: the search space.
        base: of true and supernet scores, float [2].
        effects: what every choice adds to them, float [2, blocks, choices].
        noise: float [2, 2]: the scores' noise is this matrix times two independent normal numbers.
        truth_fit: of the true scores.
        proxy_fit: of the supernet's scores.
        measured_tau: between supernet and true scores of the table.
    """

    space: SearchSpace
    base: np.ndarray
    effects: np.ndarray
    noise: np.ndarray
    truth_fit: Fit
    proxy_fit: Fit
    measured_tau: float

    def scores(self, architectures: list[Choices], seed: int) -> tuple[np.ndarray, np.ndarray]:
        """True and supernet scores of architectures, float [n] each.

        Both are a function of the seed and the architecture alone. A seed, not negative, stands for
        one world, in which every architecture has its noise.
        """
        blocks = np.arange(self.space.num_blocks)
        additive = self.effects[:, blocks, np.array(architectures)].sum(axis=2)
        normal = [np.random.default_rng([seed, *each]).standard_normal(2) for each in architectures]
        truth, proxy = self.base[:, None] + additive + self.noise @ np.transpose(normal)
        return truth, proxy

    @cached_property
    def surrogate_tau(self) -> float:
        """Between supernet and true scores of 2,000 draws from the whole space.

        To be compared with `measured_tau`.
        """
        drawn = BudgetSampler(self.space).sample(np.random.default_rng(0), 2000)
        truth, proxy = self.scores(drawn.tolist(), 0)
        return tau(proxy, truth)


def fit_surrogate(table: Table, proxy: str, truth: str) -> Surrogate:
    """A surrogate of the rows that have all scores.

    The additive part of the true score is a ridge regression on the choices of the blocks and the
    MACs. That of the supernet's score is a multiple of it, by least squares, plus a ridge
    regression of the rest. The noise has the covariance that the additive parts leave, so that
    variances and correlation of the two scores are the table's on average. The noise of the table's
    trainings is thereby part of the true score.

    Args:
        table: see `detnas.fidelity.table`.
        proxy: column of the supernet's scores.
        truth: column of the stand-alone scores, or a prefix of several, whose mean is taken.

    Raises:
        UserError: no such columns, fewer than 10 rows that have all scores, or a column of equal
            values.
    """
    scores = np.stack([table.columns(truth).mean(axis=1), table.column(proxy)], axis=1)
    complete = np.isfinite(scores).all(axis=1)
    scores = scores[complete]
    if len(scores) < MIN_ROWS:
        raise UserError(
            f"only {len(scores)} architectures have all scores of {proxy!r} and {truth!r}; "
            f"a surrogate needs {MIN_ROWS}"
        )
    for name, column in zip((truth, proxy), scores.T, strict=True):
        if not np.ptp(column):
            raise UserError(f"all scores of {name!r} are equal; a surrogate cannot be fitted")
    space = table.space
    features = _features(space, table.choices[complete], table.input_size)
    fitted = _fit_both(features, scores)
    truth_fit, proxy_fit = (
        Fit(1 - float(np.mean((column - predicted) ** 2) / np.var(column)), tau(predicted, column))
        for column, predicted in zip(
            scores.T, cross_validated(features, scores, _fit_both).T, strict=True
        )
    )
    base, effects = _per_choice(space, fitted, table.input_size)
    return Surrogate(
        space,
        base,
        effects,
        _root(np.cov(scores.T) - np.cov(fitted.predict(features).T)),
        truth_fit,
        proxy_fit,
        tau(scores[:, 1], scores[:, 0]),
    )


def _features(space: SearchSpace, choices: np.ndarray, input_size: InputSize) -> np.ndarray:
    """One-hot choices and MACs, all of a variance of about 1 in the space: float [n, features]."""
    one_hot = np.eye(space.num_choices)[choices].reshape(len(choices), -1)
    macs = macs_table(space, input_size)
    scaled = (macs.of_many(choices) - macs.base) / _macs_scale(space, input_size)
    return np.column_stack([np.sqrt(space.num_choices) * one_hot, scaled])


def _macs_scale(space: SearchSpace, input_size: InputSize) -> float:
    """The standard deviation of MACs over uniform draws from the space."""
    rows = macs_table(space, input_size).table
    variances = [np.var([value for value in row if value is not None]) for row in rows]
    return float(np.sqrt(np.sum(variances))) or 1.0


def _fit_both(features: np.ndarray, scores: np.ndarray) -> Linear:
    """Both additive parts as functions of the features; targets are truth and proxy."""
    truth, proxy = scores.T
    of_truth = fit_ridge(features, truth)
    fitted = of_truth.predict(features) - of_truth.mean
    spread = fitted @ fitted
    slope = fitted @ (proxy - proxy.mean()) / spread if spread else 0.0
    rest = fit_ridge(features, proxy - slope * fitted)
    weights = [of_truth.weights, slope * of_truth.weights + rest.weights]
    return Linear(of_truth.centre, np.stack(weights, axis=1), scores.mean(axis=0))


def _per_choice(
    space: SearchSpace, fitted: Linear, input_size: InputSize
) -> tuple[np.ndarray, np.ndarray]:
    """The fitted functions as base [2] and effects [2, blocks, choices]."""
    shape = (space.num_blocks, space.num_choices)
    macs = np.array(
        [[value or 0 for value in row] for row in macs_table(space, input_size).table], dtype=float
    )
    one_hot = np.sqrt(space.num_choices) * fitted.weights[:-1].T.reshape(-1, *shape)
    per_mac = fitted.weights[-1] / _macs_scale(space, input_size)
    base = fitted.mean - fitted.centre @ fitted.weights
    return base, one_hot + per_mac[:, None, None] * macs


def _root(covariance: np.ndarray) -> np.ndarray:
    """A matrix whose product with its transpose is the covariance, negative eigenvalues aside."""
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = vectors * np.sqrt(np.maximum(values, 0))
    return root
