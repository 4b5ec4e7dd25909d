"""Random search: candidates drawn uniformly without repetition; also draws the baseline."""

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

# Separates the baseline's random numbers from those of all generations.
BASELINE_STEP = 10**6


class RandomSettings(StrategySettings, tag="random", frozen=True):
    """Settings of the random search; a backup is written after each generation."""

    def build(
        self, sampler: BudgetSampler, costs: Costs, seed: int, start: Sequence[Choices] = ()
    ) -> Strategy:
        """See `StrategySettings.build`."""
        return GenerationStrategy(
            sampler, costs, seed, self.generations, self.population, breed_nothing, start
        )


def draw_baseline(sampler: BudgetSampler, seed: int, n: int) -> list[Choices]:
    """`n` independent draws within the budget, as the random baseline; they may repeat.

    Drawn one by one, so that a longer baseline starts with the shorter one.
    """
    rng = np.random.default_rng([seed, BASELINE_STEP])
    return [draw_tuples(sampler, rng, 1)[0] for _ in range(n)]
