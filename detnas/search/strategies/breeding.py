"""Breeds children of the best candidates: their number, their parents, mutation and crossover."""

from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np
from msgspec import Meta

from detnas.errors import UserError
from detnas.search.strategies.base import Positive, StrategySettings
from detnas.search.strategies.unseen import Unseen
from search_space.architecture import Choices, as_choices
from search_space.sampling import BudgetSampler

# Tries for one unseen child; if all fail, a random candidate takes its place.
TRIES = 100

Selection = Callable[[np.random.Generator, int, int], Sequence[int]]
"""From (rng, number of parents, n): the indices of n different parents; index 0 is the best."""


class BreedingSettings(StrategySettings, frozen=True):
    """Settings of every strategy that breeds.

    Attributes:
        parents: number of best candidates that breed; None means `population`.
        mutations: children per generation by mutation.
        crossovers: children per generation by crossover; the remaining candidates are random.
        mutation_probability: probability that a block's choice is drawn again.
    """

    parents: Positive | None = None
    mutations: Annotated[int, Meta(ge=0)] = 20
    crossovers: Annotated[int, Meta(ge=0)] = 20
    mutation_probability: Annotated[float, Meta(gt=0, le=1)] = 0.1

    def __post_init__(self) -> None:
        if self.mutations + self.crossovers > self.population:
            raise UserError(
                f"search.strategy: mutations ({self.mutations}) and crossovers ({self.crossovers}) "
                f"together exceed population ({self.population}); lower them"
            )


def uniformly(rng: np.random.Generator, parents: int, n: int) -> Sequence[int]:
    """Every parent with the same probability."""
    if n == 1:  # histories replay these random numbers, not those of `choice`
        return [int(rng.integers(parents))]
    chosen: list[int] = rng.choice(parents, n, replace=False).tolist()
    return chosen


def by_tournament(rng: np.random.Generator, parents: int, n: int) -> Sequence[int]:
    """Binary tournaments: of two parents drawn with replacement the better one, at most once."""
    left = list(range(parents))
    return [left.pop(int(rng.integers(len(left), size=2).min())) for _ in range(n)]


def breed_children(
    settings: BreedingSettings,
    sampler: BudgetSampler,
    rng: np.random.Generator,
    parents: Sequence[Choices],
    unseen: Unseen,
    select: Selection = uniformly,
) -> list[Choices]:
    """The mutations, then the crossovers of a generation, each new to the search.

    Returns fewer children than the settings ask for if the tries run out, and no crossovers of a
    single parent.
    """

    def mutate() -> Choices:
        (parent,) = select(rng, len(parents), 1)
        return as_choices(sampler.mutate(rng, parents[parent], settings.mutation_probability))

    def cross() -> Choices:
        first, second = select(rng, len(parents), 2)
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
