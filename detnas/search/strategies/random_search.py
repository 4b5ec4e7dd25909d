"""Random search: every candidate drawn uniformly, none twice; and the baseline's draws."""

from collections.abc import Sequence

import numpy as np

from detnas.search.strategies.base import (
    Costs,
    GenerationStrategy,
    Strategy,
    StrategySettings,
    breed_nothing,
)
from detnas.search.strategies.unseen import draw_tuples
from search_space.architecture import Choices
from search_space.sampling import BudgetSampler

# Seeds the baseline's draws apart from every generation's.
BASELINE_STEP = 10**6


class RandomSettings(StrategySettings, tag="random", frozen=True):
    """Config of the random search; its generations only mark how often a backup is written."""

    def build(
        self, sampler: BudgetSampler, costs: Costs, seed: int, start: Sequence[Choices] = ()
    ) -> Strategy:
        """The random search over the architectures that `sampler` draws, after `start`."""
        return GenerationStrategy(
            sampler, costs, seed, self.generations, self.population, breed_nothing, start
        )


def draw_baseline(sampler: BudgetSampler, seed: int, n: int) -> list[Choices]:
    """`n` independent draws inside the budget, to compare a search with; they may repeat.

    Drawn one by one, so that a longer baseline begins with the shorter one.
    """
    rng = np.random.default_rng([seed, BASELINE_STEP])
    return [draw_tuples(sampler, rng, 1)[0] for _ in range(n)]
