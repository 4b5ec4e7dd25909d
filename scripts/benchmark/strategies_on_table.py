"""What search strategies find, by a table of architectures trained on their own.

    python scripts/benchmark/strategies_on_table.py benchmarks/digits.csv [--supernet supernet/base]

Prints what random search finds among the table's own rows, exactly; and what evolution, Pareto and
random search find in the whole space on a model of the table, over many seeds. They see supernet
scores; what counts is the score of the network trained on its own.
"""

import argparse
from pathlib import Path

import numpy as np

from detnas.fidelity.comparison import SUPERNET, TRAINED
from detnas.fidelity.simulation import curves_table, random_search_in_table, simulate
from detnas.fidelity.surrogate import fit_surrogate
from detnas.fidelity.table_file import read_table
from detnas.search.strategies import StrategySettings
from detnas.search.strategies.evolution import EvolutionSettings
from detnas.search.strategies.pareto import ParetoSettings
from detnas.search.strategies.random_search import RandomSettings
from search_space.budget import Budget
from search_space.sampling import BudgetSampler

GENERATIONS, POPULATION = 8, 20


def main() -> None:
    """Read, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--supernet", default=SUPERNET, help="column of supernet scores")
    parser.add_argument("--macs", type=float, default=40e6, help="budget of the searches")
    parser.add_argument("--seeds", type=int, default=200)
    options = parser.parse_args()
    table = read_table(options.table)
    proxy = table.columns(options.supernet).mean(axis=1)
    truth = table.columns(TRAINED).mean(axis=1)
    complete = np.isfinite(proxy) & np.isfinite(truth)
    proxy, truth = proxy[complete], truth[complete]
    sizes = [size for size in (1, 2, 5, 10, 20, 40) if size <= len(truth)]
    for name, seen in (("supernet scores", proxy), ("trained scores", truth)):
        found = random_search_in_table(seen, truth, sizes)
        listed = ", ".join(
            f"{n}: {mean:.4f}" for n, mean in zip(sizes, found.mean.tolist(), strict=True)
        )
        print(
            f"random search among {len(truth)} rows by {name}, trained score of the best: {listed}"
        )

    column = table.names(options.supernet)[0]
    surrogate = fit_surrogate(table, column, TRAINED)
    print(
        f"model of the table: tau {surrogate.surrogate_tau:.2f}, measured "
        f"{surrogate.measured_tau:.2f}; "
        f"held-out R2 of the additive part {surrogate.truth_fit.r2:.2f}"
    )
    strategies: dict[str, StrategySettings] = {
        "evolution": EvolutionSettings(
            generations=GENERATIONS, population=POPULATION, parents=8, mutations=8, crossovers=8
        ),
        "pareto": ParetoSettings(
            generations=GENERATIONS, population=POPULATION, mutations=10, crossovers=10
        ),
        "random": RandomSettings(generations=GENERATIONS, population=POPULATION),
    }
    sampler = BudgetSampler(table.space, [Budget("macs", upper=options.macs)])
    curves = simulate(surrogate, sampler, strategies, range(options.seeds))
    print(curves_table(curves, (1, 20, 40, 80, 160)))
    for name in ("evolution", "pareto"):
        mean, error = curves.difference(name, "random")
        print(f"{name} minus random after 160: {mean[-1]:+.4f} (standard error {error[-1]:.4f})")


if __name__ == "__main__":
    main()
