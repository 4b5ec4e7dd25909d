"""Ridge regression for small samples, with its penalty chosen by leave-one-out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

PENALTIES = 10.0 ** np.arange(-2, 4.5, 0.5)


@dataclass(frozen=True)
class Linear:
    """A fitted linear function of features, of one target or several.

    Attributes:
        centre: the features' means, float [features].
        weights: float [features] or [features, targets].
        mean: the prediction at the centre, float [] or [targets].
    """

    centre: np.ndarray
    weights: np.ndarray
    mean: np.ndarray

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predictions for features [n, features]: float [n] or [n, targets]."""
        predicted: np.ndarray = self.mean + (features - self.centre) @ self.weights
        return predicted


def fit_ridge(features: np.ndarray, target: np.ndarray) -> Linear:
    """Fit with the penalty of `PENALTIES` that has the least leave-one-out error.

    The intercept is not penalised. Features are not scaled: give them comparable spreads.

    Args:
        features: float [n, features], n at least 3.
        target: float [n].
    """
    centre, mean = features.mean(axis=0), target.mean()
    left, singular, right = np.linalg.svd(features - centre, full_matrices=False)
    projected = left.T @ (target - mean)

    def left_out_error(penalty: float) -> float:
        shrunk = singular**2 / (singular**2 + penalty)
        leverage = 1 / len(target) + left**2 @ shrunk
        residuals = target - mean - left @ (shrunk * projected)
        return float(np.mean((residuals / (1 - leverage)) ** 2))

    penalty = min(PENALTIES, key=left_out_error)
    return Linear(centre, right.T @ (singular / (singular**2 + penalty) * projected), mean)


def cross_validated(
    features: np.ndarray,
    targets: np.ndarray,
    fit: Callable[[np.ndarray, np.ndarray], Linear] = fit_ridge,
    folds: int = 10,
    seed: int = 0,
) -> np.ndarray:
    """The prediction of each row by a fit to the other folds, of the shape of `targets`.

    Args:
        features: float [n, features].
        targets: float [n] or [n, targets].
        fit: all that is fitted, the choice of a penalty included.
        folds: random ones, of equal sizes or nearly so.
        seed: of the folds.
    """
    fold = np.random.default_rng(seed).permutation(len(targets)) % folds
    predicted = np.empty(targets.shape)
    for held_out in np.unique(fold):
        rows = fold == held_out
        predicted[rows] = fit(features[~rows], targets[~rows]).predict(features[rows])
    return predicted
