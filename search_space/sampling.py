"""Uniform draws, mutation and crossover inside a budget.

Rejection sampling fails at tight budgets: one architecture in 19,000 of the small space has at
most 250M multiply-adds. With a table of exact counts (`search_space.counting`) every draw lies
inside the budget, and the number of architectures is known.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np

from search_space.budget import (
    Budget,
    InfeasibleBudgetError,
    IntegerBudget,
    integer_budget,
    readable,
)
from search_space.cost import CostTable, cost_table
from search_space.counting import CountTable, count_table, nearest_outside
from search_space.errors import SpaceError
from search_space.spaces import SearchSpace

Genes = Sequence[int] | np.ndarray

_BATCH = 10_000
_MAX_MISSES = 200_000


class BudgetSampler:
    """Draws architectures of `space` that lie within all `budgets` (none: the whole space).

    Every architecture within the bounds has exactly the same probability. Several budgets are
    counted together if that table fits in memory. Otherwise the tightest one is counted, and draws
    outside the others are rejected. Measured costs are quantised, and "within the bounds" then
    means within the quantised bounds, which are never wider.

    Attributes:
        exact: whether all budgets are in one table, so that `count` is exact and no draw can fail.
        count: number of architectures within the bounds; an upper limit of it if not `exact`.
        share: `count` divided by the size of the space.
        steps: the step of each budget's cost, in its unit; 0 if nothing was rounded.

    Args:
        tables: the tables of measured costs (latency).

    Raises:
        InfeasibleBudgetError: no architecture lies within the budgets, or, if not `exact`, none was
            found in 200,000 draws in a row.
        SpaceError: a cost without a table, or a table of another space.
    """

    def __init__(
        self,
        space: SearchSpace,
        budgets: Sequence[Budget] = (),
        tables: Sequence[CostTable] | None = None,
    ) -> None:
        self.space = space
        self.budgets = tuple(budgets)
        self.cost_tables = tuple(
            cost_table(space, budget.cost, budget.input_size, tables or ()) for budget in budgets
        )
        self._has = np.zeros((space.num_blocks, space.num_choices), dtype=bool)
        for block, numbers in enumerate(space.numbers):
            self._has[block, list(numbers)] = True
        single = list(map(self._count_alone, self.budgets, self.cost_tables))
        self._bounds = tuple(bounds for bounds, _ in single)
        joint = single[0][1] if len(single) == 1 else count_table(self._bounds, self._has)
        self.exact = joint is not None
        self._table = joint or min((table for _, table in single), key=lambda table: table.total)
        self.count = self._table.total
        self.share = self.count / space.size
        self.steps = tuple(bounds.step for bounds in self._bounds)
        self._require_feasible()

    def contains(self, choices: Genes) -> bool:
        """Whether one architecture lies within all bounds."""
        return bool(self._admits(np.asarray(choices)[None])[0])

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Uniform draws with replacement: int8 [n, blocks].

        Raises:
            InfeasibleBudgetError: if not `exact`, 200,000 draws in a row fell outside.
        """
        if self.exact:
            return self._table.draw(rng, n)
        kept = [np.empty((0, self.space.num_blocks), dtype=np.int8)]
        missing, misses = n, 0
        while missing > 0:
            drawn = self._table.draw(rng, _BATCH)
            kept.append(drawn[self._admits(drawn)][:missing])
            missing -= len(kept[-1])
            misses = 0 if len(kept[-1]) else misses + _BATCH
            if misses >= _MAX_MISSES:
                raise InfeasibleBudgetError(
                    f"no architecture of space {self.space.name!r} within {self._named()} in "
                    f"{misses:,} draws: loosen one of the bounds"
                )
        return np.concatenate(kept)

    def _require_feasible(self) -> None:
        """Raise InfeasibleBudgetError, naming the nearest feasible cost, if nothing fits."""
        if self.count == 0:
            last = len(self.budgets) - 1
            raise InfeasibleBudgetError(
                f"budgets {self._named()} together admit no architecture of space "
                f"{self.space.name!r}: "
                + _remedy(
                    self.cost_tables[last], self._bounds[last], self._has, self._bounds[:last]
                )
            )
        if not self.exact:
            self.sample(np.random.default_rng(0), 1)

    def mutate(
        self, rng: np.random.Generator, parent: Genes, probability: float, attempts: int = 100
    ) -> np.ndarray:
        """A child of which each gene is redrawn with `probability`, uniformly over its choices.

        The distribution is conditioned on the bounds: `attempts` children are tried, and if all
        are outside, one is drawn from those inside. The child may equal its parent. Returns int8
        [blocks].

        Raises:
            SpaceError: `probability` is outside 0 to 1.
            InfeasibleBudgetError: no child lies within the bounds (a parent outside them).
        """
        if not 0 <= probability <= 1:
            raise SpaceError(f"mutation probability {probability} must be between 0 and 1")
        weights = self._has * (probability / self._has.sum(axis=1, keepdims=True))
        weights[np.arange(len(weights)), np.asarray(parent)] += 1 - probability
        return self._child(rng, weights, attempts, [parent])

    def crossover(
        self, rng: np.random.Generator, a: Genes, b: Genes, attempts: int = 100
    ) -> np.ndarray:
        """A child with each gene from either parent with probability 1/2.

        Conditioned on the bounds as in `mutate`. Returns int8 [blocks].

        Raises:
            InfeasibleBudgetError: no child lies within the bounds (both parents are outside them).
        """
        weights = np.zeros(self._has.shape)
        for parent in (a, b):
            weights[np.arange(len(weights)), np.asarray(parent)] += 0.5
        return self._child(rng, weights, attempts, [a, b])

    def _child(
        self, rng: np.random.Generator, weights: np.ndarray, attempts: int, parents: Sequence[Genes]
    ) -> np.ndarray:
        """An architecture within the bounds; `weights` [blocks, choices] are of its genes."""
        edges = weights.cumsum(axis=1)
        edges /= edges[:, -1:]
        uniform = rng.random((attempts, len(weights), 1))
        tried = (uniform >= edges).sum(axis=2).astype(np.int8)
        admitted = np.flatnonzero(self._admits(tried))
        if len(admitted):
            return tried[admitted[0]]
        with np.errstate(divide="ignore"):
            log_weights = np.log(weights)
        for _ in range(1 if self.exact else attempts):
            child = self._table.draw_weighted(rng, log_weights)
            if child is not None and self.contains(child):
                return child
        fitting = [parent for parent in parents if self.contains(parent)]
        if fitting:  # only if not `exact`: an exact table holds the parent
            return np.array(fitting[0], dtype=np.int8)
        raise InfeasibleBudgetError(f"no child of these parents lies within {self._named()}")

    def _admits(self, choices: np.ndarray) -> np.ndarray:
        admitted = self._has[np.arange(len(self._has)), choices].all(axis=1)
        for bounds in self._bounds:
            admitted &= bounds.admits(choices)
        return admitted

    def _count_alone(self, budget: Budget, costs: CostTable) -> tuple[IntegerBudget, CountTable]:
        """One budget in integers and its table; an empty table raises InfeasibleBudgetError."""
        bounds = integer_budget(budget, costs)
        table = count_table([bounds], self._has)
        if table is None:  # too many distinct costs: count in steps
            bounds = integer_budget(budget, costs, quantise=True)
            table = count_table([bounds], self._has)
            assert table is not None, "65,536 states per block always fit"
        if table.total == 0:
            raise InfeasibleBudgetError(
                f"budget {budget} admits no architecture of space {self.space.name!r}: "
                + _remedy(costs, bounds, self._has)
            )
        return bounds, table

    def _named(self) -> str:
        return " and ".join(map(str, self.budgets))


def enumerate_space(space: SearchSpace) -> Iterator[tuple[int, ...]]:
    """All choices of a (small) space in lexicographic order."""
    return itertools.product(*space.numbers)


def _remedy(
    costs: CostTable,
    bounds: IntegerBudget,
    has: np.ndarray,
    others: Sequence[IntegerBudget] = (),
) -> str:
    """How to change bounds that admit no architecture: the nearest costs within the others."""
    below, above = nearest_outside(bounds, has, others)
    where = f"within the others, by {costs.name}, " if others else ""
    note = f"; counted in steps of {bounds.step:.3g} {costs.unit}" if bounds.step else ""
    slack = bounds.step * len(bounds.offsets)
    down = "" if below is None else _as_bound(costs.of(below), -slack)
    up = "" if above is None else _as_bound(costs.of(above), slack)
    if down and up:
        return f"{where}the nearest have {down} and {up} (widen the bounds to one of them{note})"
    if up:
        return f"{where}the smallest has {up} (raise the upper bound to at least that{note})"
    if down:
        return f"{where}the largest has {down} (lower the lower bound to at most that{note})"
    return "loosen one of the bounds"


def _as_bound(cost: float, slack: float) -> str:
    """A cost as a bound that admits it: with `slack` added, rounded in the direction of `slack`."""
    if cost == int(cost) and not slack:
        return readable(cost)
    bound = Decimal(cost) + Decimal(slack)
    digit = Decimal(1).scaleb(bound.adjusted() - 5)
    rounding = ROUND_FLOOR if slack < 0 else ROUND_CEILING
    return readable(float((bound / digit).to_integral_value(rounding) * digit))
