"""Strategies on a surrogate, and random search in a table against all subsets."""

from itertools import combinations

import numpy as np
import pytest
from toy_table import SAMPLER, toy_table

from detnas.errors import UserError
from detnas.fidelity.simulation import Curves, curves_table, random_search_in_table, simulate
from detnas.fidelity.surrogate import Surrogate, fit_surrogate
from detnas.search.costs import CandidateCosts
from detnas.search.strategies import StrategySettings
from detnas.search.strategies.evolution import EvolutionSettings
from detnas.search.strategies.pareto import ParetoSettings
from detnas.search.strategies.random_search import RandomSettings
from search_space.budget import Budget
from search_space.sampling import BudgetSampler
from search_space.spaces import get_space

STRATEGIES: dict[str, StrategySettings] = {
    "evolution": EvolutionSettings(
        generations=4, population=10, parents=5, mutations=4, crossovers=4
    ),
    "pareto": ParetoSettings(generations=4, population=10, mutations=4, crossovers=4),
    "random": RandomSettings(generations=4, population=10),
}


@pytest.fixture(scope="module")
def surrogate() -> Surrogate:
    return fit_surrogate(toy_table(50), "supernet/plain/seed0", "standalone")


def test_a_curve_is_the_truth_of_the_best_by_proxy_so_far(surrogate: Surrogate) -> None:
    table = BudgetSampler(SAMPLER.space, [Budget()]).cost_tables[0]
    sampler = BudgetSampler(SAMPLER.space, [Budget(upper=(table.min + table.max) / 2)])
    curves = simulate(surrogate, sampler, STRATEGIES, [7])
    for name, settings in STRATEGIES.items():
        strategy = settings.build(sampler, CandidateCosts(sampler), 7)
        best, expected = -np.inf, []
        while proposals := strategy.ask():
            truth, proxy = surrogate.scores(proposals, 7)
            assert all(map(sampler.contains, proposals))
            for value, score in zip(truth.tolist(), proxy.tolist(), strict=True):
                if score > best:
                    best, current = score, value
                expected.append(current)
            strategy.tell(list(zip(proposals, proxy.tolist(), strict=True)))
        assert curves.truth[name].tolist() == [expected]


def test_curves_over_seeds(surrogate: Surrogate) -> None:
    curves = simulate(surrogate, SAMPLER, STRATEGIES, range(30))
    for name in STRATEGIES:
        assert curves.truth[name].shape == (30, 40)
        assert curves.mean(name)[-1] > curves.mean(name)[0]
        assert (np.diff(curves.percentiles(name), axis=0) >= 0).all()
    difference, error = curves.difference("evolution", "random")
    assert (difference[:10] == 0).all()  # the first generation is the same random draws
    assert (error[20:] > 0).all()


def test_evolution_beats_random_where_the_supernet_knows_the_truth() -> None:
    table = toy_table(100, truth_noise=0.1, proxy_noise=0.1)
    precise = fit_surrogate(table, "supernet/plain/seed0", "standalone")
    long: dict[str, StrategySettings] = {
        "evolution": EvolutionSettings(generations=8, population=20, mutations=8, crossovers=8),
        "random": RandomSettings(generations=8, population=20),
    }
    curves = simulate(precise, SAMPLER, long, range(20))
    difference, error = curves.difference("evolution", "random")
    assert difference[-1] > 3 * error[-1]


def test_a_table_of_curves() -> None:
    curves = Curves({"a": np.array([[0.0, 1.0], [1.0, 3.0]])})
    lines = curves_table(curves, [2]).splitlines()
    assert lines[0].split() == ["strategy", "evaluations", "mean", "5%", "25%", "50%", "75%", "95%"]
    values = ["2.0000", "1.1000", "1.5000", "2.0000", "2.5000", "2.9000"]
    assert lines[1].split() == ["a", "2", *values]


def test_unequal_numbers_of_evaluations_are_refused(surrogate: Surrogate) -> None:
    more = {**STRATEGIES, "random": RandomSettings(generations=5, population=10)}
    with pytest.raises(UserError, match="evolution 40, pareto 40, random 50"):
        simulate(surrogate, SAMPLER, more, [0])
    with pytest.raises(UserError, match="the surrogate is of space 'tiny'"):
        simulate(surrogate, BudgetSampler(get_space("small")), STRATEGIES, [0])


def test_random_search_in_a_table_counts_all_subsets() -> None:
    rng = np.random.default_rng(0)
    proxy, truth = rng.normal(size=(2, 8))
    found = random_search_in_table(proxy, truth, [1, 3, 8])
    for column, size in enumerate(found.sizes):
        subsets = [list(subset) for subset in combinations(range(8), size)]
        best = [truth[subset][np.argmax(proxy[subset])] for subset in subsets]
        assert found.mean[column] == pytest.approx(np.mean(best))
        exact = np.percentile(best, [5, 25, 50, 75, 95], method="inverted_cdf")
        assert found.percentiles[:, column] == pytest.approx(exact)
    assert found.mean[0] == pytest.approx(truth.mean())
    assert found.mean[-1] == pytest.approx(truth[np.argmax(proxy)])


def test_random_search_needs_scores_and_sizes_within_the_table() -> None:
    with pytest.raises(UserError, match="both scores of every row"):
        random_search_in_table(np.array([1, np.nan]), np.ones(2), [1])
    with pytest.raises(UserError, match="size 3 must be between 1 and the 2 rows"):
        random_search_in_table(np.ones(2), np.ones(2), [3])
