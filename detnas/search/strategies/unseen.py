"""Architectures inside a budget that a search has not proposed yet, drawn without repetition."""

from itertools import islice

import numpy as np

from search_space.architecture import Choices, as_choices
from search_space.sampling import BudgetSampler

# A budget that holds fewer architectures than this many times those a search has seen is listed in
# full; in a larger one three draws of four are unseen.
ROOM_TO_DRAW = 4
# Where a sampler cannot count its budgets exactly, this many draws in a row without an unseen one
# mean that none is left: were it one in 500, they would miss it once in 22,000 times.
DRY_DRAWS = 5000
BATCH = 100


class Unseen:
    """The architectures of a budget less those already claimed."""

    def __init__(self, sampler: BudgetSampler) -> None:
        self._sampler = sampler
        self._seen: set[Choices] = set()
        self._listed: list[Choices] | None = None

    def claim(self, choices: Choices) -> bool:
        """Take an architecture inside the budget; False where it has been taken before."""
        if choices in self._seen:
            return False
        self._seen.add(choices)
        return True

    def draw(self, rng: np.random.Generator, n: int) -> list[Choices]:
        """Claim `n` unseen architectures, uniformly at random; fewer where there are no more."""
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
    """`n` independent uniform draws inside the budget."""
    return [as_choices(row) for row in sampler.sample(rng, n)]


def list_all(sampler: BudgetSampler) -> list[Choices]:
    """Every architecture of a sampler that counts exactly, sorted; for small counts.

    Collected by drawing until as many as the count have come, count * ln(count) draws or so.
    """
    rng = np.random.default_rng(0)
    found: set[Choices] = set()
    while len(found) < sampler.count:
        found.update(draw_tuples(sampler, rng, sampler.count))
    return sorted(found)
