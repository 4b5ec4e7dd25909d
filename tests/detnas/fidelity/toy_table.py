"""A table with made-up scores: additive in the blocks' choices, with noise."""

import numpy as np

from detnas.fidelity.table import Table
from search_space.architecture import as_choices
from search_space.sampling import BudgetSampler
from search_space.spaces import get_space

TINY = get_space("tiny")
SAMPLER = BudgetSampler(TINY)


def toy_table(n: int, seed: int = 0, truth_noise: float = 0.3, proxy_noise: float = 1.0) -> Table:
    """A table of `n` random architectures: two stand-alone columns, two of supernets.

    The additive part has about variance 1; the noise's standard deviations are the arguments.
    """
    rng = np.random.default_rng(seed)
    effects = rng.normal(size=(TINY.num_blocks, TINY.num_choices)) / np.sqrt(TINY.num_blocks)
    drawn = np.unique(SAMPLER.sample(rng, 2 * n), axis=0)
    choices = drawn[rng.permutation(len(drawn))[:n]]
    true = effects[np.arange(TINY.num_blocks), choices].sum(axis=1)

    def noisy(sigma: float) -> tuple[float, ...]:
        return tuple((true + sigma * rng.normal(size=n)).tolist())

    scores = {
        **{f"standalone/seed{seed}": noisy(truth_noise) for seed in range(2)},
        **{f"supernet/plain/seed{seed}": noisy(proxy_noise) for seed in range(2)},
    }
    return Table(TINY, tuple(map(as_choices, choices)), ("space",) * n, scores)
