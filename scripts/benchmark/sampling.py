"""Speed of drawing architectures inside a budget, compared with rejection sampling.

    python scripts/benchmark/sampling.py [--draws 10000] [--seed 0] [--seconds 5]

For several bounds on multiply-adds it prints the share of the space inside, the time to build the
table of counts, the time of the draws, and draws inside the budget per second for both methods.
Rejection draws uniformly from the whole space, in batches, for the given seconds; if it hits
nothing, the expected rate is computed from the share.
"""

import argparse
import time

import numpy as np

from search_space.cost import macs_table
from search_space.sampling import Budget, BudgetSampler
from search_space.spaces import SPACES, SearchSpace

# In these spaces every block has all choices.
BUDGETS = (("small", 250e6), ("small", 260e6), ("small", 300e6), ("large", 1.0e9), ("large", 1.1e9))
BATCH = 10_000
LINE = "{:<7}{:>9}{:>11}{:>9}{:>11}{:>12}{:>19}"


def rejection_rate(space: SearchSpace, upper: float, seconds: float, seed: int) -> tuple[int, int]:
    """Hits and draws per second of rejection sampling."""
    table, rng = macs_table(space), np.random.default_rng(seed)
    hits = draws = 0
    began = time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        drawn = rng.integers(space.num_choices, size=(BATCH, space.num_blocks), dtype=np.int8)
        hits += int((table.of_many(drawn) <= upper).sum())
        draws += BATCH
    return round(hits / spent), round(draws / spent)


def measure(name: str, upper: float, options: argparse.Namespace) -> str:
    """One line of the table."""
    space = SPACES[name]
    macs_table(space)  # cached by the space; not part of the measurement
    began = time.perf_counter()
    sampler = BudgetSampler(space, [Budget("macs", upper=upper)])
    built = time.perf_counter()
    drawn = sampler.sample(np.random.default_rng(options.seed), options.draws)
    done = time.perf_counter()
    assert macs_table(space).of_many(drawn).max() <= upper
    hits, draws = rejection_rate(space, upper, options.seconds, options.seed)
    return LINE.format(
        name,
        f"{upper / 1e6:,.0f}M",
        f"{sampler.share:.2g}",
        f"{built - began:.3f} s",
        f"{done - built:.3f} s",
        f"{options.draws / (done - built):,.0f}/s",
        f"{hits:,}/s" if hits else f"{sampler.share * draws:.2g}/s expected",
    )


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=5.0, help="of rejection at each bound")
    options = parser.parse_args()
    print(LINE.format("space", "MACs <=", "share", "table", "draws", "exact", "rejection"))
    for name, upper in BUDGETS:
        print(measure(name, upper, options), flush=True)


if __name__ == "__main__":
    main()
