"""Regret by hand, and exact expectations against all subsets."""

from itertools import combinations

import numpy as np
import pytest

from detnas.fidelity.regret import regret_of
from detnas.search.ranking import best_of_probabilities


def test_regret_by_hand() -> None:
    truth = np.array([0.1, 0.5, 0.3, 0.9, 0.7, 0.2])
    proxy = np.array([1.0, 6.0, 5.0, 0.0, 4.0, 3.0])
    found = regret_of(proxy, truth, np.zeros(6), size=3)
    assert found.first == pytest.approx(0.4)
    assert (found.first_rank, found.first_percentile) == (3, 60)
    assert found.top == pytest.approx(0.2)
    assert (found.top_rank, found.top_percentile) == (2, 80)
    assert found.random_first == pytest.approx(0.9 - 0.45)
    best = np.mean([max(three) for three in combinations(truth, 3)])
    assert found.random_top == pytest.approx(0.9 - best)


def test_equal_proxies_are_picked_by_cost_then_by_place() -> None:
    proxy, truth = np.zeros(3), np.array([0.1, 0.2, 0.3])
    assert regret_of(proxy, truth, np.array([2.0, 1.0, 1.0]), 1).first_rank == 2


def test_few_architectures_are_all_picked() -> None:
    found = regret_of(np.arange(3.0), np.arange(3.0)[::-1].copy(), np.zeros(3))
    assert (found.size, found.top, found.random_top, found.first_rank) == (3, 0, 0, 3)


@pytest.mark.parametrize("n", [1, 2, 4, 7])
def test_probabilities_of_the_best_rank_count_the_subsets(n: int) -> None:
    best = [min(subset) for subset in combinations(range(7), n)]
    counted = np.bincount(best, minlength=7) / len(best)
    assert best_of_probabilities(7, n) == pytest.approx(counted)
