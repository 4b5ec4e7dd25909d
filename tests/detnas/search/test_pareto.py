"""What only the Pareto evolution does: fronts and crowding, who breeds, and whether it pays."""

import sys

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from test_strategies import build, run
from toy_search import TINY, toy_sampler, toy_score

from detnas.search.costs import CandidateCosts
from detnas.search.ranking import rank_key
from detnas.search.strategies import StrategySettings
from detnas.search.strategies.base import Scored
from detnas.search.strategies.breeding import breed_children, by_tournament
from detnas.search.strategies.dominance import (
    crowded_order,
    crowding_distances,
    front_ranks,
    nondominated,
)
from detnas.search.strategies.evolution import EvolutionSettings
from detnas.search.strategies.pareto import ParetoSettings, select_parents
from detnas.search.strategies.random_search import RandomSettings
from search_space.architecture import Choices
from search_space.sampling import Budget, BudgetSampler
from search_space.validation import convert

# Few values, so that points tie, repeat, and are constant in an objective.
POINTS = st.tuples(st.integers(1, 14), st.integers(1, 4)).flatmap(
    lambda shape: arrays(float, shape, elements=st.sampled_from([-2.0, 0.0, 0.5, 1.0, 7.0]))
)


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and list(a) != list(b)


@given(POINTS)
def test_ranks_match_the_definition(points: np.ndarray) -> None:
    expected = [-1] * len(points)
    left, rank = set(range(len(points))), 0
    while left:
        front = {i for i in left if not any(dominates(points[j], points[i]) for j in left)}
        for i in front:
            expected[i] = rank
        left, rank = left - front, rank + 1
    assert front_ranks(points).tolist() == expected
    assert nondominated(points).tolist() == [rank == 0 for rank in expected]


def crowding_by_definition(front: np.ndarray) -> list[float]:
    points = [tuple(point) for point in front]
    distances = []
    for i, point in enumerate(points):
        total = 0.0
        for m, value in enumerate(point):
            column = [other[m] for other in points]
            if min(column) == max(column):
                continue
            below = max((x for x in column if x < value), default=-np.inf)
            above = min((x for x in column if x > value), default=np.inf)
            total += (above - below) / (max(column) - min(column))
        distances.append(0.0 if point in points[:i] else total)
    return distances


@given(POINTS)
def test_crowding_matches_the_definition(points: np.ndarray) -> None:
    assert crowding_distances(points) == pytest.approx(crowding_by_definition(points))


def test_crowding_of_a_known_front() -> None:
    front = np.array([[0, 10], [1, 6], [2, 4], [8, 1], [10, 0], [2, 4]], dtype=float)
    expected = [np.inf, 0.2 + 0.6, 0.7 + 0.5, 0.8 + 0.4, np.inf, 0.0]
    assert crowding_distances(front) == pytest.approx(expected)


@given(POINTS)
def test_order_is_by_front_then_crowding_then_place(points: np.ndarray) -> None:
    ranks = front_ranks(points)
    crowding = np.empty(len(points))
    for rank in set(ranks.tolist()):
        crowding[ranks == rank] = crowding_by_definition(points[ranks == rank])
    order = crowded_order(points)
    assert order == sorted(range(len(points)), key=lambda i: (ranks[i], -crowding[i], i))


def scored(score: float, macs: float, position: int) -> Scored:
    return Scored((position,), score, {"params": 1.0, "macs": macs}, position)


def test_parents_are_the_first_fronts_with_ties_by_crowding() -> None:
    candidates = [
        scored(0.5, 10, 0),  # the worst of all
        scored(0.9, 9, 1),
        scored(0.6, 2, 2),
        scored(0.8, 9, 3),  # second front
        scored(0.7, 5, 4),
        scored(0.7, 5, 5),  # equal to the one before: 0 crowding, so behind its whole front
        scored(0.72, 6, 6),
    ]
    ranked = sorted(candidates, key=lambda each: rank_key(each.score, each.costs, (each.position,)))
    parents = [choices[0] for choices in select_parents(ranked, ["macs"], 7)]
    # The ends by score; crowding of 6: 4/7 + 0.2/0.3, of 4: 4/7 + 0.12/0.3.
    assert parents == [1, 2, 6, 4, 5, 3, 0]
    assert select_parents(ranked, ["macs"], 3) == [(1,), (2,), (6,)]


def test_failed_candidates_are_never_parents(monkeypatch: pytest.MonkeyPatch) -> None:
    bred_from: list[list[Choices]] = []

    def spy(*args: object) -> list[Choices]:
        bred_from.append(list(args[3]))  # type: ignore[call-overload]
        return breed_children(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("detnas.search.strategies.pareto.breed_children", spy)
    settings = ParetoSettings(4, 6, parents=8, mutations=2, crossovers=2)
    told = run(build(settings), frozenset({0, 3, 7, 8}))
    cost = BudgetSampler(TINY, [Budget()]).cost_tables[0].of
    for number, parents in enumerate(bred_from, start=1):
        past = [result for generation in told[:number] for result in generation]
        points = {c: np.array([-s, cost(c)]) for c, s in past if s is not None}
        assert len(parents) == min(8, len(points)) == len(set(parents))
        assert set(parents) <= set(points)
        front = [c for c in points if not any(dominates(p, points[c]) for p in points.values())]
        assert set(front) <= set(parents) or set(parents) <= set(front)
    assert len(bred_from) == 3


def test_tournaments_prefer_better_parents_and_never_repeat_one() -> None:
    rng = np.random.default_rng(0)
    assert by_tournament(rng, 1, 1) == [0]
    firsts = []
    for _ in range(2000):
        pair = by_tournament(rng, 4, 2)
        assert len(set(pair)) == 2
        firsts.append(pair[0])
    shares = np.bincount(firsts, minlength=4) / len(firsts)
    assert shares == pytest.approx([7 / 16, 5 / 16, 3 / 16, 1 / 16], abs=0.04)


SPACE = toy_sampler(share=1.0)
MACS = SPACE.cost_tables[0]


def spent(choices: Choices) -> float:
    """MACs as a share of the way from the least to the most."""
    return float((MACS.of(choices) - MACS.min) / (MACS.max - MACS.min))


def trade_off(choices: Choices) -> float:
    """More MACs score higher, with diminishing returns; beside that, some choices are better."""
    return float(np.sqrt(spent(choices))) + 0.03 * toy_score(choices)


def hypervolume(settings: StrategySettings, seed: int) -> float:
    """What a search's candidates dominate together, from score 0 and the most MACs on."""
    strategy = settings.build(SPACE, CandidateCosts(SPACE), seed)
    points: list[tuple[float, float]] = []
    while proposals := strategy.ask():
        results = [(choices, trade_off(choices)) for choices in proposals]
        strategy.tell(results)
        points += [(-score, spent(choices)) for choices, score in results]
    assert len(points) == 200
    return float(moocore.hypervolume(np.array(points), ref=[0.0, 1.0]))


def test_front_is_better_than_those_of_random_search_and_evolution() -> None:
    def found(settings: StrategySettings) -> np.ndarray:
        return np.array([hypervolume(settings, seed) for seed in range(6)])

    pareto = found(ParetoSettings(10, 20, mutations=10, crossovers=10))
    random = found(RandomSettings(10, 20))
    evolution = found(EvolutionSettings(10, 20, parents=5, mutations=10, crossovers=10))
    # 0.78, 0.71 and 0.73; a Pareto evolution that ranks by score alone reaches 0.72.
    assert (pareto > random).all()
    assert pareto.mean() > 1.05 * random.mean()
    assert pareto.mean() > 1.03 * evolution.mean()


def test_several_objectives() -> None:
    settings = ParetoSettings(4, 10, mutations=5, crossovers=5, objectives=("params", "macs"))
    assert len({c for results in run(build(settings)) for c, _ in results}) == 40


def test_objectives_become_a_tuple() -> None:
    settings = convert({"type": "pareto", "objectives": ["params", "macs"]}, ParetoSettings)
    assert settings.objectives == ("params", "macs")
    assert settings == ParetoSettings(objectives=("params", "macs"))


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ("macs", "search.strategy.objectives must be a list, not 'macs'"),
        ([], "search.strategy.objectives must be a non-empty list, not []"),
        ([1], "search.strategy.objectives[0] must be a string, not 1"),
        (["macs", "params", "macs"], "search.strategy.objectives has 'macs' twice"),
    ],
)
def test_invalid_objectives_are_refused(objectives: object, message: str) -> None:
    with pytest.raises(ValueError) as refusal:
        convert({"type": "pareto", "objectives": objectives}, ParetoSettings, "search.strategy")
    assert message in str(refusal.value)


def test_unknown_objective_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'latency_ms' in .*objectives; .* knows macs, params"):
        build(ParetoSettings(objectives=("macs", "latency_ms")))


def test_missing_moocore_is_a_user_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moocore", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install .detnas\[pareto\]"):
        build(ParetoSettings())
