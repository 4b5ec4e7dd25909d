"""Draws architectures within a budget that a search has not proposed yet."""

from itertools import islice

import numpy as np

from search_space.architecture import Choices, as_choices
from search_space.sampling import BudgetSampler

# A budget with fewer architectures than this many times the seen ones is listed in full. In a
# larger one, at least three of four draws are unseen.
ROOM_TO_DRAW = 4
# If a sampler cannot count its budgets exactly, this many seen draws in a row mean that none is
# left. If one in 500 were unseen, they would miss it once in 22,000 times.
DRY_DRAWS = 5000
BATCH = 100


class Unseen:
    """The architectures within a budget that are not claimed yet."""

    def __init__(self, sampler: BudgetSampler) -> None:
        self._sampler = sampler
        self._seen: set[Choices] = set()
        self._listed: list[Choices] | None = None

    def claim(self, choices: Choices) -> bool:
        """Claim an architecture within the budget; False if it was claimed before."""
        if choices in self._seen:
            return False
        self._seen.add(choices)
        return True

    def draw(self, rng: np.random.Generator, n: int) -> list[Choices]:
        """Claim `n` unseen architectures, uniformly at random; fewer if no more are left."""
        sampler = self._sampler
        if sampler.exact and sampler.count < ROOM_TO_DRAW * (len(self._seen) + n):
            return self._draw_from_list(rng, n)
        drawn: list[Choices] = []
        dry = 0
        while len(drawn) < n and dry < DRY_DRAWS:
            candidates = draw_tuples(sampler, rng, max(n - len(drawn), BATCH))
            new = list(islice(filter(self.claim, candidates), n - len(drawn)))
            drawn += new
            dry = 0 if new else dry + len(candidates)
        return drawn

    def _draw_from_list(self, rng: np.random.Generator, n: int) -> list[Choices]:
        if self._listed is None:
            self._listed = list_all(self._sampler)
        left = [choices for choices in self._listed if choices not in self._seen]
        drawn = [left[i] for i in rng.permutation(len(left))[:n]]
        self._seen.update(drawn)
        return drawn


def draw_tuples(sampler: BudgetSampler, rng: np.random.Generator, n: int) -> list[Choices]:
    """`n` independent uniform draws within the budget."""
    return [as_choices(row) for row in sampler.sample(rng, n)]


def list_all(sampler: BudgetSampler) -> list[Choices]:
    """All architectures of a sampler that counts exactly, sorted; for small counts.

    Draws until all of them have occurred, which takes about count * ln(count) draws.
    """
    rng = np.random.default_rng(0)
    found: set[Choices] = set()
    while len(found) < sampler.count:
        found.update(draw_tuples(sampler, rng, sampler.count))
    return sorted(found)
