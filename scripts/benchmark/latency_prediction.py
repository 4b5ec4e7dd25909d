"""How well the sum over a latency table predicts the latency of whole backbones.

    python scripts/benchmark/latency_prediction.py [--space small] [--input-size H W] [--seed 0 1 2]

For every seed it builds a table, draws architectures uniformly from the whole space, and measures
their backbones in two sessions of interleaved rounds. It prints the rank correlation (Spearman) of
the sum with the sessions, the correlation between the two sessions (an upper limit), that of
multiply-adds for comparison, and the relative error of the sum; then mean and range over the seeds.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
from msgspec.structs import replace
from scipy.stats import spearmanr

from detnas.evaluation.latency import measure_backbones, measure_latency
from search_space.architecture import Architecture
from search_space.cost import macs_table
from search_space.latency import LatencySettings
from search_space.sampling import BudgetSampler
from search_space.spaces import SearchSpace, get_space

LINE = "{:<10}" + "{:>11}" * 6
HEADS = ("sum/whole", "pearson", "retest", "MACs", "error", "bias")


def measure(
    space: SearchSpace, settings: LatencySettings, rounds: int, architectures: int, device: str
) -> tuple[float, ...]:
    """The figures of one seed, in the order of `HEADS`."""
    began = time.monotonic()
    table = measure_latency(space, settings, device, _shown("table"))
    print(f"table in {time.monotonic() - began:.0f} s: {table.conditions}", file=sys.stderr)
    choices = BudgetSampler(space).sample(np.random.default_rng(settings.seed), architectures)
    drawn = [Architecture(space, tuple(row), settings.channel_shuffle) for row in choices.tolist()]
    predicted = table.costs.of_many(choices)
    sessions = [
        measure_backbones(
            drawn,
            replace(settings, rounds=rounds, seed=2 * settings.seed + i),
            device,
            _shown(name),
        )
        for i, name in enumerate(("first session", "second session"))
    ]
    macs = macs_table(space, settings.input_size).of_many(choices)
    ratios = [predicted / whole - 1 for whole in sessions]
    return (
        float(np.mean([spearmanr(predicted, whole)[0] for whole in sessions])),
        float(np.mean([np.corrcoef(predicted, whole)[0, 1] for whole in sessions])),
        float(spearmanr(*sessions)[0]),
        float(np.mean([spearmanr(macs, whole)[0] for whole in sessions])),
        float(np.mean(np.abs(ratios))),
        float(np.mean(ratios)),
    )


def line(name: str, figures: tuple[float, ...]) -> str:
    """Correlations with three digits, errors in percent."""
    parts = [f"{value:.3f}" for value in figures[:4]]
    return LINE.format(name, *parts, f"{figures[4]:.1%}", f"{figures[5]:+.1%}")


def _shown(what: str) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        print(f"\r{what} {done}/{total}", end="\n" if done == total else "", file=sys.stderr)

    return progress


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="small")
    parser.add_argument("--input-size", type=int, nargs=2, default=(224, 224), metavar=("H", "W"))
    parser.add_argument("--seed", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--architectures", type=int, default=50)
    parser.add_argument("--table-rounds", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=25, help="of each session of whole backbones")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    space, rows = get_space(options.space), []
    print(LINE.format("seed", *HEADS), flush=True)
    for seed in options.seed:
        settings = LatencySettings(
            input_size=(3, *options.input_size),
            threads=options.threads,
            rounds=options.table_rounds,
            seed=seed,
        )
        rows.append(measure(space, settings, options.rounds, options.architectures, options.device))
        print(line(str(seed), rows[-1]), flush=True)
    for name, of in (("mean", np.mean), ("lowest", np.min), ("highest", np.max)):
        print(line(name, tuple(of(rows, axis=0).tolist())))


if __name__ == "__main__":
    main()
