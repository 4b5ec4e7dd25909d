"""Path policies: which paths of the supernet train at an iteration.

A policy is a function of (seed, step) alone, so that every rank knows the paths of a step without
being told, and a resumed run goes on with the same ones.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np

from detnas.errors import UserError
from detnas.training.seeding import PATH
from search_space.sampling import Budget, BudgetSampler, InfeasibleBudgetError
from search_space.spaces import SearchSpace

Path = tuple[int, ...]


class PathPolicy(Protocol):
    """The paths of a step."""

    def paths(self, step: int) -> tuple[Path, ...]:
        """Choices of every block, for each path whose gradients make iteration `step` (from 0)."""


class UniformPaths:
    """One path a step; every architecture within the budgets equally likely (DetNAS, section 3.2).

    Args:
        space: of the supernet.
        seed: of the run.
        budgets: none takes the whole space.
    """

    def __init__(self, space: SearchSpace, seed: int, budgets: Sequence[Budget] = ()) -> None:
        self._sampler = BudgetSampler(space, budgets)
        self._seed = seed

    def paths(self, step: int) -> tuple[Path, ...]:
        """See `PathPolicy.paths`."""
        rng = np.random.default_rng([self._seed, PATH, step])
        return (tuple(self._sampler.sample(rng, 1)[0].tolist()),)


class UniformBinPaths:
    """One path a step: first a bin of the cost, each equally likely, then a path within it.

    The authors' code draws so in pretraining, by rejection, over seven bins of 10M multiply-adds;
    here each path within a bin has exactly the same probability. Both edges belong to a bin, as
    theirs do. Rare costs, at both ends of the distribution, are trained more than under
    `UniformPaths`.

    Args:
        space: of the supernet.
        seed: of the run.
        cost: "macs" or "params".
        lower: the lowest bin's lower edge.
        upper: the highest bin's upper edge.
        bins: how many, all of the same width.
        input_size: (channels, height, width) that the multiply-adds hold for.
    Raises:
        ValueError: the edges or the number of bins make no bins.
        InfeasibleBudgetError: a bin holds no architecture; names it.
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

    def paths(self, step: int) -> tuple[Path, ...]:
        """See `PathPolicy.paths`."""
        rng = np.random.default_rng([self._seed, PATH, step])
        sampler = self._samplers[rng.integers(len(self._samplers))]
        return (tuple(sampler.sample(rng, 1)[0].tolist()),)


class StrictlyFairPaths:
    """As many paths a step as a block has choices; each choice of each block is in exactly one.

    FairNAS (1907.01845, algorithm 1): every block has its own random permutation of the choices,
    the i-th path takes the i-th of each, and the gradients of all paths are summed before one step
    of the optimiser. A step costs as much as one of each path; layers that all paths share (stem,
    neck, head) get the sum of their gradients.

    Args:
        space: of the supernet.
        seed: of the run.
    """

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._shape = (space.num_blocks, space.num_choices)
        self._seed = seed

    def paths(self, step: int) -> tuple[Path, ...]:
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
