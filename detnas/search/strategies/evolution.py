"""Evolution as in DetNAS (arXiv 1903.10979, section 3.3), the authors' numbers as defaults.

The first generation is random. Afterwards the best candidates of the whole search are parents: some
children are mutations of one, some crossovers of two, the rest of the generation is random.
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
    """Config of the evolution.

    Attributes:
        parents: how many of the best candidates so far breed.
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
        """The evolution over the architectures that `sampler` draws, beginning with `start`."""

        def breed(
            rng: np.random.Generator, ranked: Sequence[Scored], unseen: Unseen
        ) -> list[Choices]:
            parents = [scored.choices for scored in ranked[: self.parents]]
            return breed_children(self, sampler, rng, parents, unseen)

        return GenerationStrategy(
            sampler, costs, seed, self.generations, self.population, breed, start
        )
