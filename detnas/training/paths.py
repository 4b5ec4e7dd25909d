"""Path policies: which paths of the supernet an iteration trains.

A policy is a function of (seed, step) alone, so all ranks agree on the paths of a step without
communication, and a resumed run continues with the same paths.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np

from detnas.errors import UserError
from detnas.training.seeding import PATH
from search_space.sampling import Budget, BudgetSampler, InfeasibleBudgetError
from search_space.spaces import SearchSpace

PathChoices = tuple[int, ...]  # the choice of each block


class PathPolicy(Protocol):
    """Chooses the paths of every step."""

    def paths(self, step: int) -> tuple[PathChoices, ...]:
        """The paths whose gradients are summed in iteration `step`, counted from 0."""


class UniformPaths:
    """One path per step, drawn uniformly within the budgets (DetNAS, section 3.2).

    Args:
        space: of the supernet.
        seed: of the run.
        budgets: bounds on costs; empty means the whole space.
    """

    def __init__(self, space: SearchSpace, seed: int, budgets: Sequence[Budget] = ()) -> None:
        self._sampler = BudgetSampler(space, budgets)
        self._seed = seed

    def paths(self, step: int) -> tuple[PathChoices, ...]:
        """See `PathPolicy.paths`."""
        rng = np.random.default_rng([self._seed, PATH, step])
        return (tuple(self._sampler.sample(rng, 1)[0].tolist()),)


class UniformBinPaths:
    """One path per step: a bin of the cost drawn uniformly, then a path uniformly within the bin.

    The authors' code does this in pretraining, by rejection sampling over seven bins of 10M
    multiply-adds; here paths within a bin have exactly equal probability. As in their code, both
    edges belong to a bin. Paths of rare costs are trained more often than with `UniformPaths`.

    Args:
        space: of the supernet.
        seed: of the run.
        cost: "macs" or "params".
        lower: the lowest bin's lower edge.
        upper: the highest bin's upper edge.
        bins: how many bins of equal width.
        input_size: (channels, height, width) for the multiply-adds.
    Raises:
        UserError: there are no bins, or the edges are in the wrong order.
        InfeasibleBudgetError: a bin has no architecture.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        lower: float,
        upper: float,
        bins: int,
        cost: str = "macs",
        input_size: tuple[int, int, int] = (3, 224, 224),
    ) -> None:
        if bins < 1 or not lower < upper:
            raise UserError(
                f"path bins need bins >= 1 and lower < upper, not {bins} from {lower} to {upper}"
            )
        edges = [lower + (upper - lower) * i / bins for i in range(bins + 1)]
        self._samplers = []
        for low, high in pairwise(edges):
            try:
                sampler = BudgetSampler(space, [Budget(cost, low, high, input_size)])
            except InfeasibleBudgetError as error:
                raise InfeasibleBudgetError(f"a path bin is empty: {error}") from None
            self._samplers.append(sampler)
        self._seed = seed

    def paths(self, step: int) -> tuple[PathChoices, ...]:
        """See `PathPolicy.paths`."""
        rng = np.random.default_rng([self._seed, PATH, step])
        sampler = self._samplers[rng.integers(len(self._samplers))]
        return (tuple(sampler.sample(rng, 1)[0].tolist()),)


class StrictlyFairPaths:
    """Several paths per step, which together use each choice of each block exactly once.

    FairNAS (1907.01845, algorithm 1): every block has a random permutation of its choices, the i-th
    path takes the i-th choice of each block, and the gradients of all paths are summed before the
    optimiser's step. Layers that all paths share (stem, neck, head) get the sum of their gradients.

    Args:
        space: of the supernet.
        seed: of the run.
    """

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._shape = (space.num_blocks, space.num_choices)
        self._seed = seed

    def paths(self, step: int) -> tuple[PathChoices, ...]:
        """See `PathPolicy.paths`."""
        rng = np.random.default_rng([self._seed, PATH, step])
        blocks, choices = self._shape
        permutations = rng.permuted(np.tile(np.arange(choices), (blocks, 1)), axis=1)
        return tuple(map(tuple, permutations.T.tolist()))


POLICIES: dict[str, type] = {
    "uniform": UniformPaths,
    "uniform_bins": UniformBinPaths,
    "strictly_fair": StrictlyFairPaths,
}
