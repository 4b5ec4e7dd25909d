"""Resampled correlations are scipy's; intervals cover what they should."""

import numpy as np
import pytest
from scipy import stats

from detnas.fidelity.correlation import Bootstrap, resampled_rho, resampled_tau, rho, tau


def test_resampled_correlations_are_those_of_the_resampled_rows() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(6, size=(2, 20)).astype(float)  # with ties
    counts = rng.multinomial(20, np.full(20, 1 / 20), size=30)
    for found_tau, found_rho, row in zip(
        resampled_tau(x, y, counts), resampled_rho(x, y, counts), counts, strict=True
    ):
        a, b = np.repeat(x, row), np.repeat(y, row)
        assert found_tau == pytest.approx(stats.kendalltau(a, b).statistic)
        assert found_rho == pytest.approx(stats.spearmanr(a, b).statistic)


def test_correlations_by_hand() -> None:
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0])
    assert tau(x, y) == pytest.approx(4 / 6)  # 5 pairs agree, 1 does not
    assert rho(x, y) == pytest.approx(0.8)  # 1 - 6 * 2 / (4 * 15)
    once = np.ones((1, 4))
    assert resampled_tau(x, y, once)[0] == pytest.approx(4 / 6)
    assert resampled_rho(x, y, once)[0] == pytest.approx(0.8)


def test_a_constant_column_has_no_correlation_and_no_interval() -> None:
    bootstrap = Bootstrap(5, 50, 0)
    draws = bootstrap.mean_correlation([(np.ones(5), np.arange(5.0))])
    found = draws.summary(0.95).tau
    assert np.isnan([found.value, found.low, found.high]).all()
    assert found.resamples == 0


def test_degenerate_resamples_are_left_out() -> None:
    draws = Bootstrap(3, 2000, 0).mean_correlation([(np.arange(3.0), np.arange(3.0))])
    found = draws.summary(0.95).tau
    # Three times the same row: 3 of 27 resamples.
    assert found.resamples / 2000 == pytest.approx(24 / 27, abs=0.03)
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_a_difference_is_paired() -> None:
    rng = np.random.default_rng(1)
    pair = [(rng.normal(size=30), rng.normal(size=30))]
    bootstrap = Bootstrap(30, 100, 0)
    none = (bootstrap.mean_correlation(pair) - bootstrap.mean_correlation(pair)).summary(0.95)
    assert (none.tau.low, none.tau.high) == (0, 0)


def test_intervals_cover_the_true_correlation_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(2)
    linear = 0.7
    true_tau = 2 / np.pi * np.arcsin(linear)  # of a bivariate normal distribution
    true_rho = 6 / np.pi * np.arcsin(linear / 2)
    covered = []
    for seed in range(150):
        x = rng.normal(size=50)
        y = linear * x + np.sqrt(1 - linear**2) * rng.normal(size=50)
        found = Bootstrap(50, 200, seed).mean_correlation([(x, y)]).summary(0.9)
        covered.append(
            [
                found.tau.low <= true_tau <= found.tau.high,
                found.rho.low <= true_rho <= found.rho.high,
            ]
        )
    assert (np.mean(covered, axis=0) > 0.83).all()
    assert (np.mean(covered, axis=0) < 0.97).all()
