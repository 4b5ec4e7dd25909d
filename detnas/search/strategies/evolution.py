"""Evolution as in DetNAS (arXiv 1903.10979, section 3.3), the authors' numbers as defaults.

The first generation is random. Afterwards the best candidates of the whole search are parents: some
children are mutations of one, some crossovers of two, the rest of the generation is random.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detnas.search.checks import require_int, require_number
from detnas.search.strategies.base import (
    Costs,
    GenerationStrategy,
    Scored,
    Strategy,
    StrategySettings,
)
from detnas.search.strategies.unseen import Choices, Unseen, as_choices
from search_space.sampling import BudgetSampler

# Tries for one child that the search has not seen; where they fail a random one takes its place.
TRIES = 100


@dataclass(frozen=True)
class EvolutionSettings(StrategySettings):
    """Config of the evolution.

    Attributes:
        parents: how many of the best candidates so far breed.
        mutations: children of a generation made by mutation.
        crossovers: children of a generation made by crossover; what is left of it is random.
        mutation_probability: with which each block's choice is drawn anew.
    """

    type: ClassVar[str] = "evolution"

    parents: int = 10
    mutations: int = 20
    crossovers: int = 20
    mutation_probability: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        where = "search.strategy"
        require_int(self.parents, f"{where}.parents", 1)
        require_int(self.mutations, f"{where}.mutations", 0)
        require_int(self.crossovers, f"{where}.crossovers", 0)
        require_number(self.mutation_probability, f"{where}.mutation_probability")
        if not 0 < self.mutation_probability <= 1:
            raise ValueError(
                f"{where}.mutation_probability must be above 0 and at most 1, "
                f"not {self.mutation_probability}"
            )
        if self.mutations + self.crossovers > self.population:
            raise ValueError(
                f"{where}: mutations ({self.mutations}) and crossovers ({self.crossovers}) "
                f"together exceed population ({self.population}); lower them"
            )
        if self.parents > self.population:
            raise ValueError(
                f"{where}.parents ({self.parents}) exceeds population ({self.population}); lower it"
            )

    def build(self, sampler: BudgetSampler, costs: Costs, seed: int) -> Strategy:
        """The evolution over the architectures that `sampler` draws."""

        def breed(
            rng: np.random.Generator, ranked: Sequence[Scored], unseen: Unseen
        ) -> list[Choices]:
            parents = [scored.choices for scored in ranked[: self.parents]]
            return breed_children(self, sampler, rng, parents, unseen)

        return GenerationStrategy(sampler, costs, seed, self.generations, self.population, breed)


def breed_children(
    settings: EvolutionSettings,
    sampler: BudgetSampler,
    rng: np.random.Generator,
    parents: Sequence[Choices],
    unseen: Unseen,
) -> list[Choices]:
    """The mutations, then the crossovers of a generation, each new to the search.

    Returns fewer than the settings ask for where the tries run out; a single parent crosses with
    nobody.
    """

    def mutate() -> Choices:
        parent = parents[int(rng.integers(len(parents)))]
        return as_choices(sampler.mutate(rng, parent, settings.mutation_probability))

    def cross() -> Choices:
        first, second = rng.choice(len(parents), 2, replace=False)
        return as_choices(sampler.crossover(rng, parents[first], parents[second]))

    children = _new_children(mutate, settings.mutations, unseen)
    if len(parents) > 1:
        children += _new_children(cross, settings.crossovers, unseen)
    return children


def _new_children(make: Callable[[], Choices], n: int, unseen: Unseen) -> list[Choices]:
    children: list[Choices] = []
    for _ in range(n):
        tries = (make() for _ in range(TRIES))
        child = next((child for child in tries if unseen.claim(child)), None)
        if child is not None:
            children.append(child)
    return children
