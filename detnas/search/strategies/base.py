"""What every strategy shares: ask/tell, the generation's random numbers, the ranking of results.

A proposal is a function of (seed, results told so far): generation g draws from a generator seeded
with [seed, g], so a search is resumed by asking and telling again what its history recorded.
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
"""A candidate and its score, higher is better; None where its evaluation failed."""

Costs = Callable[[Choices], Mapping[str, float]]
"""A candidate's costs by name; the first one breaks ties of score, the lower the better."""


class Strategy(Protocol):
    """Proposes generations of candidates and is told their results."""

    @property
    def generation(self) -> int:
        """Number of the generation to ask for next, from 0."""

    @property
    def generations(self) -> int:
        """How many generations there are at most."""

    @property
    def planned(self) -> int:
        """How many candidates the whole search proposes at most."""

    def ask(self) -> list[Choices]:
        """Propose the next generation: never a candidate twice in a search, all in the budget.

        Empty once the generations are done or the budget holds no architecture not yet proposed.
        """

    def tell(self, results: Sequence[Result]) -> None:
        """Report the results of the generation asked for last, in the order it was proposed."""


@dataclass(frozen=True)
class Scored:
    """A candidate evaluated with success.

    Attributes:
        choices: one block choice per block.
        score: higher is better.
        costs: by name, lower is better, the one that breaks ties of score first.
        position: its place among all candidates of the search, from 0.
    """

    choices: Choices
    score: float
    costs: Mapping[str, float]
    position: int


Breed = Callable[[np.random.Generator, Sequence[Scored], Unseen], list[Choices]]
"""Claims children of the candidates scored so far (best first) from the unseen; may find none."""


def breed_nothing(
    rng: np.random.Generator, ranked: Sequence[Scored], unseen: Unseen
) -> list[Choices]:
    """The breeding of a strategy that learns nothing: every candidate is drawn at random."""
    return []


class GenerationStrategy:
    """Ask/tell over generations of one size: children bred from the past, the rest drawn at random.

    Args:
        sampler: draws inside the budget.
        costs: a candidate's costs, the one that breaks ties first.
        seed: of every draw.
        generations: how many generations, each of them evaluated.
        population: candidates in a generation; fewer where the budget holds no more.
        breed: makes a generation's children. Not called before a candidate has succeeded.
        start: the architectures that generation 0 begins with, in this order; of equal ones the
            first, of all at most `population`.

    Raises:
        ValueError: an architecture of `start` is outside the budget.
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
        assert self._asked is None, "a generation was asked for before the last one was told"
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
    """What the config of every strategy has: `generations` of `population` candidates each."""

    generations: Annotated[Positive, MAY_GROW] = 20
    population: Positive = 50

    @property
    def type(self) -> str:
        """The strategy's name in a config."""
        return str(self.__struct_config__.tag)

    def build(
        self, sampler: BudgetSampler, costs: Costs, seed: int, start: Sequence[Choices] = ()
    ) -> Strategy:
        """The strategy over the architectures that `sampler` draws, beginning with `start`.

        Raises:
            UserError: an architecture of `start` is outside the budget, the settings name a cost
                that `costs` does not give, or the strategy needs a package that is not installed.
        """
        raise NotImplementedError


def require_inside(sampler: BudgetSampler, costs: Costs, choices: Choices, name: str) -> None:
    """Raise ValueError where an architecture is not of the sampler's space or outside its budget.

    `name` says where the architecture comes from, for the message.
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
