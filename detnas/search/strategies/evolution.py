"""Evolution as in DetNAS (arXiv 1903.10979, section 3.3); defaults are the authors' numbers.

The first generation is random. Afterwards the best candidates of the whole search are parents: a
generation has mutations of one parent, crossovers of two, and random candidates.
"""

from collections.abc import Sequence

import numpy as np

from detnas.errors import UserError
from detnas.search.strategies.base import Costs, GenerationStrategy, Positive, Scored, Strategy
from detnas.search.strategies.breeding import BreedingSettings, breed_children
from detnas.search.strategies.unseen import Unseen
from search_space.architecture import Choices
from search_space.sampling import BudgetSampler


class EvolutionSettings(BreedingSettings, tag="evolution", frozen=True):
    """Settings of the evolution.

    Attributes:
        parents: number of best candidates that breed.
    """

    parents: Positive = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.parents > self.population:
            raise UserError(
                f"search.strategy.parents ({self.parents}) exceeds population "
                f"({self.population}); lower it"
            )

    def build(
        self, sampler: BudgetSampler, costs: Costs, seed: int, start: Sequence[Choices] = ()
    ) -> Strategy:
        """See `StrategySettings.build`."""

        def breed(
            rng: np.random.Generator, ranked: Sequence[Scored], unseen: Unseen
        ) -> list[Choices]:
            parents = [scored.choices for scored in ranked[: self.parents]]
            return breed_children(self, sampler, rng, parents, unseen)

        return GenerationStrategy(
            sampler, costs, seed, self.generations, self.population, breed, start
        )
