"""Draws in spaces whose blocks have different choices: exact counts, and no absent choice."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from search_space.cost import CostTable, macs_table, params_table
from search_space.sampling import Budget, BudgetSampler, InfeasibleBudgetError, enumerate_space
from search_space.spaces import PAPER_CHOICES, SPACES, WITH_SKIP, SearchSpace, Stage

STAGES = (Stage(16, 3), Stage(32, 2))
SKIP = SearchSpace("five-skip", 8, STAGES, WITH_SKIP)
PLACES = SearchSpace(
    "five-places",
    8,
    STAGES,
    WITH_SKIP,
    places=(
        PAPER_CHOICES[1:3],
        ("skip", "xception_3x3", "shufflenet_3x3"),
        ("skip",),
        PAPER_CHOICES,
        ("shufflenet_7x7", "skip"),
    ),
)
SPACES_HERE = pytest.mark.parametrize("space", [SKIP, PLACES], ids=lambda space: space.name)


def latency(space: SearchSpace) -> CostTable:
    drawn = np.random.default_rng(5).random((space.num_blocks, space.num_choices)).tolist()
    rows = (
        tuple(value if choice in numbers else None for choice, value in enumerate(row))
        for row, numbers in zip(drawn, space.numbers, strict=True)
    )
    return CostTable("latency_ms", "ms", None, 0.7, tuple(rows))


def tables(space: SearchSpace) -> dict[str, CostTable]:
    found = (macs_table(space), params_table(space), latency(space))
    return {table.name: table for table in found}


def budgets_of(space: SearchSpace, bounds: dict[str, tuple[float, float]]) -> list[Budget]:
    """Budgets between two quantiles of their costs."""
    everything = np.array(list(enumerate_space(space)))
    budgets = []
    for name, shares in bounds.items():
        costs = tables(space)[name].of_many(everything)
        low, high = np.quantile(costs, shares, method="lower").tolist()
        budgets.append(Budget(name, low, high))
    return budgets


def assert_uniform(drawn: np.ndarray, inside: Sequence[tuple[int, ...]]) -> None:
    """Within four standard deviations of the chi-square statistic."""
    counts = Counter(map(tuple, drawn.tolist()))
    assert set(counts) <= set(inside)
    expected = len(drawn) / len(inside)
    statistic = sum((counts[key] - expected) ** 2 / expected for key in inside)
    freedom = len(inside) - 1
    assert abs(statistic - freedom) < 4 * math.sqrt(2 * max(freedom, 1))


@SPACES_HERE
def test_the_whole_space_is_enumerated_counted_and_drawn(space: SearchSpace) -> None:
    everything = list(enumerate_space(space))
    assert everything == sorted(set(everything))
    sampler = BudgetSampler(space)
    assert sampler.count == space.size == len(everything)
    assert sampler.share == 1
    assert_uniform(sampler.sample(np.random.default_rng(0), 40 * len(everything)), everything)


@SPACES_HERE
@pytest.mark.parametrize(
    "bounds",
    [
        {"macs": (0.0, 0.3)},
        {"macs": (0.7, 1.0)},
        {"params": (0.3, 0.6)},
        {"macs": (0.0, 0.0)},
        {"macs": (1.0, 1.0)},
        {"macs": (0.1, 0.7), "params": (0.3, 1.0)},
        {"macs": (0.0, 0.6), "params": (0.0, 0.6), "latency_ms": (0.0, 0.9)},
    ],
    ids=str,
)
def test_counts_equal_enumeration(
    space: SearchSpace, bounds: dict[str, tuple[float, float]]
) -> None:
    budgets = budgets_of(space, bounds)
    sampler = BudgetSampler(space, budgets, [latency(space)])
    everything = np.array(list(enumerate_space(space)))
    within = np.ones(len(everything), dtype=bool)
    for budget in budgets:
        costs = tables(space)[budget.cost].of_many(everything).tolist()
        within &= np.array([budget.contains(cost) for cost in costs])
    admitted = np.array([sampler.contains(row) for row in everything])
    assert sampler.exact
    assert sampler.count == admitted.sum() > 0
    assert within[admitted].all()
    if "latency_ms" not in bounds:
        assert np.array_equal(admitted, within)
    inside = [tuple(row) for row in everything[admitted].tolist()]
    assert_uniform(sampler.sample(np.random.default_rng(1), 40 * len(inside)), inside)


@SPACES_HERE
def test_an_absent_choice_is_outside_every_budget(space: SearchSpace) -> None:
    inside = list(next(enumerate_space(space)))
    for sampler in (BudgetSampler(space), BudgetSampler(space, [Budget(upper=1e9)])):
        assert sampler.contains(inside)
        assert not sampler.contains([WITH_SKIP.index("skip"), *inside[1:]])


@SPACES_HERE
@pytest.mark.parametrize("attempts", [0, 100])
def test_children_have_only_choices_of_their_blocks(space: SearchSpace, attempts: int) -> None:
    rng = np.random.default_rng(0)
    for budgets in ([], budgets_of(space, {"macs": (0.0, 0.4), "params": (0.0, 0.4)})):
        sampler = BudgetSampler(space, budgets)
        seen = [set[int]() for _ in space.numbers]
        for _ in range(150):
            a, b = sampler.sample(rng, 2)
            mutated = sampler.mutate(rng, a, 0.7, attempts)
            crossed = sampler.crossover(rng, a, b, attempts)
            for child in (mutated, crossed):
                assert sampler.contains(child)
                for genes, choice in zip(seen, child.tolist(), strict=True):
                    genes.add(choice)
            assert ((crossed == a) | (crossed == b)).all()
        assert all(map(set.issubset, seen, map(set, space.numbers)))
        if not budgets:
            assert seen == list(map(set, space.numbers))


@pytest.mark.parametrize("attempts", [0, 100])
def test_mutation_redraws_uniformly_over_the_choices_of_the_block(attempts: int) -> None:
    sampler, rng = BudgetSampler(PLACES), np.random.default_rng(0)
    parent = next(enumerate_space(PLACES))
    children = np.array([sampler.mutate(rng, parent, 1.0, attempts) for _ in range(1200)])
    assert_uniform(children, list(enumerate_space(PLACES)))


def test_a_parent_with_absent_choices_has_children_without() -> None:
    sampler, rng = BudgetSampler(SKIP), np.random.default_rng(0)
    for _ in range(20):
        assert sampler.contains(sampler.mutate(rng, [4] * 5, 0.5))
    with pytest.raises(InfeasibleBudgetError, match="no child"):
        sampler.crossover(rng, [4] * 5, [4] * 5)


def test_infeasible_budgets_name_what_is_feasible() -> None:
    table = macs_table(SPACES["small-skip"])
    smallest = f"the smallest has {table.min:,} "
    with pytest.raises(InfeasibleBudgetError, match=smallest):
        BudgetSampler(SPACES["small-skip"], [Budget(upper=50e6)])
    largest = f"the largest has {table.max:,} "
    with pytest.raises(InfeasibleBudgetError, match=largest):
        BudgetSampler(SPACES["small-skip"], [Budget(lower=400e6)])


def test_one_space_has_budgets_from_60_to_360_million() -> None:
    space, depths = SPACES["elastic"], []
    for upper in (60e6, 120e6, 360e6):
        sampler = BudgetSampler(space, [Budget(lower=0.95 * upper, upper=upper)])
        drawn = sampler.sample(np.random.default_rng(0), 200)
        costs = macs_table(space).of_many(drawn)
        assert ((0.95 * upper <= costs) & (costs <= upper)).all()
        depths.append(float((drawn != space.choices.index("skip")).sum(axis=1).mean()))
    assert depths == sorted(depths)
    assert depths[0] < 20 < 30 < depths[-1]
