"""Ridge regression against its closed form, and leave-one-out against leaving one out."""

import numpy as np
import pytest

from detnas.fidelity import ridge
from detnas.fidelity.ridge import cross_validated, fit_ridge


def data(n: int = 12, features: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, features))
    return x, x[:, 0] + 0.5 * rng.normal(size=n)


def closed_form(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    centred = x - x.mean(axis=0)
    scatter = centred.T @ centred + penalty * np.eye(x.shape[1])
    return np.linalg.solve(scatter, centred.T @ (y - y.mean()))


def test_the_penalty_is_the_best_one_when_each_row_is_left_out() -> None:
    x, y = data()

    def error(penalty: float) -> float:
        total = 0.0
        for row in range(len(y)):
            others = np.arange(len(y)) != row
            weights = closed_form(x[others], y[others], penalty)
            predicted = y[others].mean() + (x[row] - x[others].mean(axis=0)) @ weights
            total += (predicted - y[row]) ** 2
        return total

    best = min(ridge.PENALTIES, key=error)
    assert ridge.PENALTIES[0] < best < ridge.PENALTIES[-1]
    fitted = fit_ridge(x, y)
    assert fitted.weights == pytest.approx(closed_form(x, y, best))
    assert fitted.predict(x).mean() == pytest.approx(y.mean())


def test_a_row_is_predicted_without_it() -> None:
    x, y = data()
    predicted = cross_validated(x, y, folds=len(y))
    others = np.arange(len(y)) != 3
    assert predicted[3] == pytest.approx(fit_ridge(x[others], y[others]).predict(x[3:4])[0])
    assert cross_validated(x, y, seed=1) == pytest.approx(cross_validated(x, y, seed=1), abs=0)


def test_more_folds_than_rows_leave_out_one_row_each() -> None:
    x, y = data(n=5)
    assert np.isfinite(cross_validated(x, y, folds=10)).all()
