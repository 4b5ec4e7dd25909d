"""Draws inside a budget: exact counts, uniformity, and operators that never leave the budget."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from search_space import budget as budget_module
from search_space import sampling
from search_space.budget import parse_budget
from search_space.cost import CostTable, macs_table, params_table
from search_space.sampling import (
    Budget,
    BudgetSampler,
    InfeasibleBudgetError,
    enumerate_space,
)
from search_space.spaces import PAPER_CHOICES, SPACES, SearchSpace, Stage

SIX = SearchSpace("six", 8, (Stage(16, 2), Stage(32, 2), Stage(64, 2)), PAPER_CHOICES)
ALL = np.array(list(enumerate_space(SIX)))
MACS, PARAMS = macs_table(SIX), params_table(SIX)
LATENCY = CostTable(
    "latency_ms",
    "ms",
    None,
    0.7,
    tuple(tuple(row) for row in np.random.default_rng(5).random((6, 4)).tolist()),
)


def quantile(table: CostTable, share: float) -> float:
    return float(np.quantile(table.of_many(ALL), share, method="lower"))


def chi_square(counts: Sequence[float], expected: Sequence[float]) -> float:
    """The statistic in standard deviations from its mean."""
    freedom = len(expected) - 1
    terms = ((c - e) ** 2 / e for c, e in zip(counts, expected, strict=True))
    return (sum(terms) - freedom) / math.sqrt(2 * freedom)


@pytest.mark.parametrize(
    "budgets",
    [
        (),
        (Budget("macs", upper=quantile(MACS, 0.1)),),
        (Budget("macs", lower=quantile(MACS, 0.9)),),
        (Budget("params", quantile(PARAMS, 0.4), quantile(PARAMS, 0.5)),),
        (Budget("macs", upper=quantile(MACS, 0.3)), Budget("params", upper=quantile(PARAMS, 0.5))),
        (Budget("macs", upper=MACS.min),),
        (Budget("macs", lower=MACS.max),),
    ],
    ids=str,
)
def test_counts_equal_enumeration(budgets: tuple[Budget, ...]) -> None:
    sampler = BudgetSampler(SIX, budgets)
    within = np.array([sampler.contains(choices) for choices in ALL])
    tables = {"macs": MACS, "params": PARAMS}
    by_cost = np.ones(len(ALL), dtype=bool)
    for budget in budgets:
        costs = tables[budget.cost].of_many(ALL).tolist()
        by_cost &= np.array([budget.contains(cost) for cost in costs])
    assert sampler.exact
    assert np.array_equal(within, by_cost)
    assert sampler.count == within.sum() > 0
    assert sampler.share == sampler.count / 4**6
    drawn = sampler.sample(np.random.default_rng(0), 500)
    assert drawn.dtype == np.int8
    assert all(sampler.contains(choices) for choices in drawn)


def test_draws_are_uniform() -> None:
    sampler = BudgetSampler(SIX, [Budget("macs", upper=quantile(MACS, 0.05))])
    n = 100 * sampler.count
    counts = Counter(map(tuple, sampler.sample(np.random.default_rng(1), n).tolist()))
    inside = [tuple(choices) for choices in ALL.tolist() if sampler.contains(choices)]
    expected = [n / len(inside)] * len(inside)
    assert set(counts) <= set(inside)
    assert abs(chi_square([counts[key] for key in inside], expected)) < 4

    # The same test tells a walk that takes every open choice equally often at each block.
    rng, biased = np.random.default_rng(1), Counter[tuple[int, ...]]()
    prefixes = {key[:length] for key in inside for length in range(7)}
    for _ in range(n):
        walk: tuple[int, ...] = ()
        while len(walk) < 6:
            walk = (*walk, rng.choice([c for c in range(4) if (*walk, c) in prefixes]))
        biased[walk] += 1
    assert chi_square([biased[key] for key in inside], expected) > 20


@pytest.mark.parametrize(
    ("upper", "share"), [(250e6, 5.4e-5), (260e6, 0.0020), (280e6, 0.120), (300e6, 0.689)]
)
def test_shares_of_small(upper: float, share: float) -> None:
    sampler = BudgetSampler(SPACES["small"], [Budget(upper=upper)])
    assert sampler.share == pytest.approx(share, rel=0.03)
    drawn = sampler.sample(np.random.default_rng(0), 10_000)
    assert macs_table(SPACES["small"]).of_many(drawn).max() <= upper


def test_counts_past_64_bits() -> None:
    space = SPACES["large"]
    assert BudgetSampler(space).count == 4**40
    below = BudgetSampler(space, [Budget(upper=1.1e9)])
    above = BudgetSampler(space, [Budget(lower=1.1e9 + 1)])
    assert below.count + above.count == 4**40
    assert below.share == pytest.approx(0.019, rel=0.02)
    drawn = below.sample(np.random.default_rng(0), 4000)
    costs = macs_table(space).of_many(drawn)
    assert costs.max() <= 1.1e9
    # Exact mean of one gene against the draws': a wrong limb would shift it.
    first = np.bincount(drawn[:, 39], minlength=4) / len(drawn)
    table = macs_table(space).table[39]
    reduced = SearchSpace("less", 48, (*space.stages[:3], Stage(960, 7)), space.choices)
    exact = [BudgetSampler(reduced, [Budget(upper=1.1e9 - cost)]).count for cost in table]
    assert sum(exact) == below.count
    assert first == pytest.approx(np.array(exact, dtype=float) / below.count, abs=0.03)


def test_draws_are_a_function_of_the_seed() -> None:
    sampler = BudgetSampler(SPACES["small"], [Budget(upper=260e6)])
    first, second = (sampler.sample(np.random.default_rng(7), 50) for _ in range(2))
    assert np.array_equal(first, second)


def test_latency_is_quantised_inwards() -> None:
    budget = Budget("latency_ms", quantile(LATENCY, 0.2), quantile(LATENCY, 0.6))
    sampler = BudgetSampler(SIX, [budget], [LATENCY])
    costs = LATENCY.of_many(ALL)
    admitted = np.array([sampler.contains(choices) for choices in ALL])
    assert all(budget.contains(cost) for cost in costs[admitted].tolist())
    assert sampler.count == admitted.sum()
    (step,) = sampler.steps
    assert 0 < step <= (LATENCY.max - LATENCY.min) / 2**15
    assert budget.lower is not None
    assert budget.upper is not None
    well_inside = (costs >= budget.lower + 7 * step) & (costs <= budget.upper - 7 * step)
    assert admitted[well_inside].all()


@pytest.mark.parametrize("table", [LATENCY, PARAMS], ids=["latency", "params in steps"])
def test_coarse_steps_never_admit_a_cost_outside(
    table: CostTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_module, "_QUANTA", 64)
    costs = table.of_many(ALL)
    admitted_in_all = 0
    for low in np.linspace(0.0, 0.6, 25):
        bounds = Budget(table.name, quantile(table, low), quantile(table, low + 0.4))
        coarse = budget_module.integer_budget(bounds, table, quantise=True)
        admitted = coarse.admits(ALL)
        assert coarse.step > 0
        assert all(bounds.contains(cost) for cost in costs[admitted].tolist())
        admitted_in_all += admitted.sum()
    assert admitted_in_all > 0


def test_too_large_a_joint_table_falls_back_to_rejection(monkeypatch: pytest.MonkeyPatch) -> None:
    budgets = [Budget(upper=quantile(MACS, 0.3)), Budget("params", upper=quantile(PARAMS, 0.5))]
    joint = BudgetSampler(SIX, budgets)
    whole = sampling.count_table
    monkeypatch.setattr(
        sampling, "count_table", lambda b, has: None if len(b) > 1 else whole(b, has)
    )
    sampler = BudgetSampler(SIX, budgets)
    assert not sampler.exact
    assert sampler.count >= joint.count
    drawn = sampler.sample(np.random.default_rng(0), 300)
    assert drawn.shape == (300, 6)
    assert all(joint.contains(choices) for choices in drawn)
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert joint.contains(sampler.mutate(rng, drawn[0], 0.5, attempts=1))
        assert joint.contains(sampler.crossover(rng, drawn[0], drawn[1], attempts=1))
    with pytest.raises(InfeasibleBudgetError, match="200,000 draws"):
        BudgetSampler(SIX, [Budget(upper=MACS.min), Budget("params", upper=PARAMS.min)])


def test_rejection_draws_every_architecture_within_all_budgets_equally_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = sampling.count_table
    monkeypatch.setattr(
        sampling, "count_table", lambda b, has: None if len(b) > 1 else whole(b, has)
    )
    budgets = [
        Budget("macs", quantile(MACS, 0.2), quantile(MACS, 0.5)),
        Budget("params", upper=quantile(PARAMS, 0.3)),
        Budget("latency_ms", quantile(LATENCY, 0.3), quantile(LATENCY, 0.6)),
    ]
    sampler = BudgetSampler(SIX, budgets, [LATENCY])
    assert not sampler.exact
    within = np.ones(len(ALL), dtype=bool)
    for budget, table in zip(budgets, (MACS, PARAMS, LATENCY), strict=True):
        within &= np.array([budget.contains(cost) for cost in table.of_many(ALL).tolist()])
    inside = [tuple(choices) for choices in ALL.tolist() if sampler.contains(choices)]
    assert set(inside) <= set(map(tuple, ALL[within].tolist()))
    assert within.sum() - len(inside) < 5  # cut off by the steps of the latency
    n = 100 * len(inside)
    counts = Counter(map(tuple, sampler.sample(np.random.default_rng(3), n).tolist()))
    assert set(counts) <= set(inside)
    assert abs(chi_square([counts[key] for key in inside], [100] * len(inside))) < 4


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            ["macs=..200e6"],
            "budget macs <= 200,000,000 admits no architecture of space 'small': the smallest has "
            "237,222,720 (raise the upper bound to at least that)",
        ),
        (
            ["macs=400e6.."],
            "budget macs >= 400,000,000 admits no architecture of space 'small': the largest has "
            "365,472,576 (lower the lower bound to at most that)",
        ),
        (
            ["macs=237222721..237222722"],
            "budget 237,222,721 <= macs <= 237,222,722 admits no architecture of space 'small': "
            "the nearest have 237,222,720 and 237,473,600 (widen the bounds to one of them)",
        ),
        (
            ["macs=..250e6", "params=..1.5e6"],
            "budgets macs <= 250,000,000 and params <= 1,500,000 together admit no architecture of "
            "space 'small': within the others, by params, the smallest has 1,511,072 "
            "(raise the upper bound to at least that)",
        ),
    ],
)
def test_infeasible_budgets(texts: list[str], message: str) -> None:
    with pytest.raises(InfeasibleBudgetError) as error:
        BudgetSampler(SPACES["small"], [parse_budget(text) for text in texts])
    assert str(error.value) == message


@pytest.mark.parametrize("attempts", [0, 100])
def test_children_stay_inside_a_tight_budget(attempts: int) -> None:
    sampler = BudgetSampler(SPACES["small"], [Budget(upper=238e6)])
    assert sampler.count < 100
    rng = np.random.default_rng(0)
    a, b = sampler.sample(rng, 2)
    for _ in range(30):
        assert sampler.contains(sampler.mutate(rng, a, 1.0, attempts))
        child = sampler.crossover(rng, a, b, attempts)
        assert sampler.contains(child)
        assert ((child == a) | (child == b)).all()
    assert np.array_equal(sampler.mutate(rng, a, 0.0, attempts), a)


@pytest.mark.parametrize("attempts", [0, 100])
def test_children_stay_inside_a_narrow_band_of_latency(attempts: int) -> None:
    rows = np.random.default_rng(6).gamma(4.0, 0.1, (20, 4)).tolist()
    table = CostTable("latency_ms", "ms", (3, 224, 224), 0.5, tuple(map(tuple, rows)))
    lower = table.min + 0.01 * (table.max - table.min)
    band = Budget("latency_ms", lower, lower + 0.01)
    sampler = BudgetSampler(SPACES["small"], [band], [table])
    assert 0 < sampler.share < 1e-6
    rng = np.random.default_rng(0)
    a, b = sampler.sample(rng, 2)
    for probability in (0.0, 0.1, 1.0):
        for _ in range(10):
            for child in (
                sampler.mutate(rng, a, probability, attempts),
                sampler.crossover(rng, a, b, attempts),
            ):
                assert band.contains(table.of(child.tolist()))


@pytest.mark.parametrize("attempts", [0, 3])
def test_children_have_the_conditional_distribution(attempts: int) -> None:
    sampler = BudgetSampler(SIX, [Budget("macs", upper=quantile(MACS, 0.02))])
    rng, n = np.random.default_rng(2), 6000
    a, b = sampler.sample(rng, 2)
    inside = [tuple(choices) for choices in ALL.tolist() if sampler.contains(choices)]
    mutation = [
        math.prod(0.5 * (g == p) + 0.125 for g, p in zip(k, a, strict=True)) for k in inside
    ]
    cross = [
        math.prod(0.5 * (g == p) + 0.5 * (g == q) for g, p, q in zip(k, a, b, strict=True))
        for k in inside
    ]
    for weights, child in (
        (mutation, lambda: sampler.mutate(rng, a, 0.5, attempts)),
        (cross, lambda: sampler.crossover(rng, a, b, attempts)),
    ):
        counts = Counter(tuple(child().tolist()) for _ in range(n))
        likely = [
            (counts.pop(key, 0), n * weight / sum(weights))
            for key, weight in zip(inside, weights, strict=True)
            if n * weight / sum(weights) >= 5
        ]
        observed, expected = map(list, zip(*likely, strict=True))
        rest = n - sum(expected)
        if rest >= 1:
            observed, expected = [*observed, sum(counts.values())], [*expected, rest]
        else:
            assert not counts
        assert len(observed) == 1 or abs(chi_square(observed, expected)) < 4


def test_children_of_parents_outside_the_budget() -> None:
    sampler = BudgetSampler(SPACES["small"], [Budget(upper=250e6)])
    rng, parent = np.random.default_rng(0), [2] * 20
    assert sampler.contains(sampler.mutate(rng, parent, 0.01))
    with pytest.raises(InfeasibleBudgetError, match="no child"):
        sampler.crossover(rng, parent, parent)
    with pytest.raises(ValueError, match="between 0 and 1"):
        sampler.mutate(rng, parent, 1.5)


def test_parse_budget() -> None:
    assert parse_budget("macs=..260e6") == Budget("macs", None, 260e6)
    assert parse_budget("macs=240e6..260e6") == Budget("macs", 240e6, 260e6)
    assert parse_budget("params = 1e6 ..", (3, 8, 8)) == Budget("params", 1e6, None, (3, 8, 8))
    for text in ("macs", "macs=260e6", "macs=..", "=..3"):
        with pytest.raises(ValueError, match="must look like"):
            parse_budget(text)
    with pytest.raises(ValueError, match="'many' is not a number"):
        parse_budget("macs=..many")
    with pytest.raises(ValueError, match="swap them"):
        parse_budget("macs=3..2")
    with pytest.raises(ValueError, match="finite"):
        parse_budget("macs=..inf")


def test_costs_without_a_table_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown cost 'flops'"):
        BudgetSampler(SIX, [Budget("flops", upper=1)])
    with pytest.raises(ValueError, match="give its latency table"):
        BudgetSampler(SIX, [Budget("latency_ms", upper=1)])


@pytest.mark.parametrize(
    ("budget", "side"),
    [
        (Budget("latency_ms", upper=0.001), "upper"),
        (Budget("latency_ms", lower=1e3), "lower"),
        (Budget("macs", upper=1), "upper"),
        (Budget("macs", lower=1e12), "lower"),
    ],
    ids=str,
)
def test_the_bound_that_a_refusal_names_admits_something(budget: Budget, side: str) -> None:
    with pytest.raises(InfeasibleBudgetError) as refusal:
        BudgetSampler(SIX, [budget], [LATENCY])
    named = re.search(r"has ([\d.,]+) \(", str(refusal.value))
    assert named is not None
    bound = float(named[1].replace(",", ""))
    assert BudgetSampler(SIX, [Budget(budget.cost, **{side: bound})], [LATENCY]).count > 0
