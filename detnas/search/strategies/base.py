"""What all strategies share: ask/tell, random numbers per generation, the ranking of results.

Proposals are a function of the seed and the results told so far: generation g draws from a random
generator seeded with [seed, g]. Asking and telling the recorded results again resumes a search.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
from msgspec import Meta, Struct

from detnas.errors import UserError
from detnas.resuming import MAY_GROW
from detnas.search.ranking import rank_key
from detnas.search.strategies.unseen import Unseen
from search_space.architecture import Architecture, Choices
from search_space.budget import readable
from search_space.errors import SpaceError
from search_space.sampling import BudgetSampler

Positive = Annotated[int, Meta(ge=1)]

Result = tuple[Choices, float | None]
"""A candidate and its score, higher is better; None if it failed, or if a race dropped it."""

Costs = Callable[[Choices], Mapping[str, float]]
"""A candidate's costs by name; the first one breaks ties in score, lower is better."""


class Strategy(Protocol):
    """Proposes generations of candidates and is told their results."""

    @property
    def generation(self) -> int:
        """Number of the generation to ask for next, from 0."""

    @property
    def generations(self) -> int:
        """The maximum number of generations."""

    @property
    def planned(self) -> int:
        """The maximum number of candidates of the whole search."""

    def ask(self) -> list[Choices]:
        """Propose the next generation: candidates within the budget, each new to the search.

        Empty after the last generation, or if the budget has no architectures left to propose.
        """

    def tell(self, results: Sequence[Result]) -> None:
        """Report the results of the last generation asked for, in the order proposed."""


@dataclass(frozen=True)
class Scored:
    """A candidate with a score.

    Attributes:
        choices: one block choice per block.
        score: higher is better.
        costs: by name, lower is better; the first one breaks ties in score.
        position: its index among all candidates of the search.
    """

    choices: Choices
    score: float
    costs: Mapping[str, float]
    position: int


Breed = Callable[[np.random.Generator, Sequence[Scored], Unseen], list[Choices]]
"""Breeds unseen children of the candidates scored so far (best first); may return none."""


def breed_nothing(
    rng: np.random.Generator, ranked: Sequence[Scored], unseen: Unseen
) -> list[Choices]:
    """Breed no children: every candidate is drawn at random."""
    return []


class GenerationStrategy:
    """Ask/tell over generations of one size: bred children, filled up with random draws.

    Args:
        sampler: draws architectures within the budget.
        costs: a candidate's costs; the first one breaks ties.
        seed: seed of all random numbers.
        generations: number of generations to evaluate.
        population: candidates per generation; fewer if the budget has no more.
        breed: breeds a generation's children. Not called before a candidate has a score.
        start: the first architectures of generation 0, in this order; duplicates and those
            beyond `population` are dropped.

    Raises:
        UserError: an architecture of `start` is outside the space or the budget.
    """

    def __init__(
        self,
        sampler: BudgetSampler,
        costs: Costs,
        seed: int,
        generations: int,
        population: int,
        breed: Breed,
        start: Sequence[Choices] = (),
    ) -> None:
        for choices in start:
            require_inside(sampler, costs, choices, "start")
        self.generations = generations
        self.planned = min(generations * population, sampler.count)
        self._costs = costs
        self._seed = seed
        self._population = population
        self._breed = breed
        self._start = list(dict.fromkeys(start))[:population]
        self._unseen = Unseen(sampler)
        self._scored: list[Scored] = []
        self._asked: list[Choices] | None = None
        self._told = 0
        self.generation = 0

    def ask(self) -> list[Choices]:
        """See `Strategy.ask`."""
        assert self._asked is None, "ask was called before the last generation was told"
        if self.generation == self.generations:
            return []
        rng = np.random.default_rng([self._seed, self.generation])
        chosen = self._children(rng) if self.generation else self._warm_start()
        proposals = chosen + self._unseen.draw(rng, self._population - len(chosen))
        self._asked = proposals or None
        return list(proposals)

    def _warm_start(self) -> list[Choices]:
        return [choices for choices in self._start if self._unseen.claim(choices)]

    def _children(self, rng: np.random.Generator) -> list[Choices]:
        ranked = sorted(self._scored, key=lambda s: rank_key(s.score, s.costs, (s.position,)))
        return self._breed(rng, ranked, self._unseen) if ranked else []

    def tell(self, results: Sequence[Result]) -> None:
        """See `Strategy.tell`."""
        assert [choices for choices, _ in results] == self._asked, "not the generation asked for"
        for choices, score in results:
            if score is not None:
                self._scored.append(Scored(choices, score, self._costs(choices), self._told))
            self._told += 1
        self._asked = None
        self.generation += 1


class StrategySettings(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    """Settings of every strategy.

    Attributes:
        generations: how many times the strategy proposes candidates.
        population: candidates of a generation.
    """

    generations: Annotated[Positive, MAY_GROW] = 20
    population: Positive = 50

    @property
    def type(self) -> str:
        """The strategy's name in a config."""
        return str(self.__struct_config__.tag)

    def build(
        self, sampler: BudgetSampler, costs: Costs, seed: int, start: Sequence[Choices] = ()
    ) -> Strategy:
        """Build the strategy on the architectures of `sampler`, starting with `start`.

        Raises:
            UserError: an architecture of `start` is outside the budget, the settings name a cost
                that `costs` does not give, or the strategy needs a package that is not installed.
        """
        raise NotImplementedError


def require_inside(sampler: BudgetSampler, costs: Costs, choices: Choices, name: str) -> None:
    """Raise UserError if an architecture is outside the sampler's space or its budget.

    `name` is the key or file of the architecture, for the message.
    """
    try:
        key = Architecture(sampler.space, choices).key
    except SpaceError as error:
        raise UserError(f"{name}: {error}") from None
    if not sampler.contains(choices):
        listed = ", ".join(f"{cost} {readable(value)}" for cost, value in costs(choices).items())
        budget = " and ".join(map(str, sampler.budgets))
        raise UserError(
            f"{name}: {key} has {listed}, outside the budget {budget}; "
            "leave it out or widen the budget"
        )
