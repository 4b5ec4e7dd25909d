"""Pareto evolution: the best trade-offs between score and costs, by NSGA-II (Deb et al. 2002).

The first generation is random. Afterwards parents are the best of the whole search by front, then
crowding distance, then score, first cost and position. Binary tournaments select among them;
mutations and crossovers are as in the evolution.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from msgspec import Meta

from detnas.errors import UserError
from detnas.search.strategies.base import Costs, GenerationStrategy, Scored, Strategy
from detnas.search.strategies.breeding import BreedingSettings, breed_children, by_tournament
from detnas.search.strategies.dominance import crowded_order, require_moocore
from detnas.search.strategies.unseen import Unseen
from search_space.architecture import Choices
from search_space.sampling import BudgetSampler

WHERE = "search.strategy.objectives"


class ParetoSettings(BreedingSettings, tag="pareto", frozen=True):
    """Settings of the Pareto evolution.

    Attributes:
        objectives: names of the costs to minimise besides the score; one or more.
    """

    objectives: Annotated[tuple[str, ...], Meta(min_length=1)] = ("macs",)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.objectives:
            if self.objectives.count(name) > 1:
                raise UserError(f"{WHERE} has {name!r} twice; leave one out")

    def build(
        self, sampler: BudgetSampler, costs: Costs, seed: int, start: Sequence[Choices] = ()
    ) -> Strategy:
        """See `StrategySettings.build`.

        Raises:
            UserError: an objective is not a cost, or one of `start` is outside the budget.
            MissingPackageError: moocore is not installed.
        """
        require_moocore()
        known = costs((0,) * sampler.space.num_blocks)
        for name in self.objectives:
            if name not in known:
                raise UserError(
                    f"unknown cost {name!r} in {WHERE}; this search knows {', '.join(known)} "
                    "(a measured one needs search.cost_tables)"
                )

        def breed(
            rng: np.random.Generator, ranked: Sequence[Scored], unseen: Unseen
        ) -> list[Choices]:
            parents = select_parents(ranked, self.objectives, self.parents or self.population)
            return breed_children(self, sampler, rng, parents, unseen, by_tournament)

        return GenerationStrategy(
            sampler, costs, seed, self.generations, self.population, breed, start
        )


def select_parents(
    ranked: Sequence[Scored], objectives: Sequence[str], parents: int
) -> list[Choices]:
    """The best `parents` by front, then crowding distance, then their order in `ranked`."""
    points = [[-each.score, *(each.costs[name] for name in objectives)] for each in ranked]
    order = crowded_order(np.array(points, dtype=float))
    return [ranked[place].choices for place in order[:parents]]
