"""Does a search beat chance? Trains what searches of several seeds find, beside the obvious rivals.

    python scripts/benchmark/found_networks.py --table benchmarks/digits.csv \\
        --work-dir work_dirs/variants --variant base --seeds 0 1 2 --trainings 2

Searches on the supernets that `supernet_variants.py` trained in the same folder: one search of
detection for each, and one of classification on its pretraining (ClsNAS). Trained as the table's
architectures were, from slices of the first seed's pretraining, are then

- the best of each, that of detection also from nothing;
- the best of each search of detection with no more multiply-adds than the network of 3x3 blocks;
- the best of its first generation, which is a random draw;
- the network of 3x3 blocks itself;
- random architectures of the table's whole space, as the baseline.

So all are from one pretraining and one machine. Prints every network, then the means with their
standard errors. Everything resumes.
"""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from supernet_variants import overrides_of

from detnas.console import print_trainings
from detnas.fidelity.table import SPACE_GROUP
from detnas.fidelity.table_file import read_table
from detnas.search.executors.build import Machine, build_executor
from detnas.search.executors.settings import ExecutorSettings
from detnas.search.history.file import FILE_NAME
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import Evaluation
from detnas.search.results import BEST_FILE
from detnas.stages.experiment import Experiment, run_experiment
from detnas.stages.listed import evaluate_into
from detnas.stages.plan import SearchPlan, plan_search
from detnas.stages.standalone import TIMEOUT, standalone_trainings
from search_space.architecture import Architecture, Choices, choices_to_text

CONFIGS = Path(__file__).parents[2] / "configs"
DETECTION, CLASSIFICATION, ALL_3X3 = "searched", "searched by classification", "every block 3x3"
NO_LARGER, FIRST = "searched, at most 3x3's MACs", "best of first generation"
RANDOM, FROM_NOTHING = "random, of the table", "searched, from nothing"


def main() -> None:
    """Search, train, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, required=True, help="of `detnas fidelity`")
    parser.add_argument("--work-dir", type=Path, required=True, help="of the supernets")
    parser.add_argument("--variant", default="base", help="which of the supernets")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of supernets")
    parser.add_argument("--trainings", type=int, default=2, help="of each network")
    parser.add_argument("--random", type=int, default=20, help="networks of the baseline")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--no-classification", action="store_true", help="leave ClsNAS out")
    options = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    workers = {"search.executor.type": "processes", "search.executor.workers": options.workers}
    shared = overrides_of(options.work_dir / "data", workers)
    supernets = {s: options.work_dir / options.variant / f"seed{s}" for s in options.seeds}
    kinds: dict[str, list[Choices]] = {
        DETECTION: [search(CONFIGS / "benchmark", supernets[s], shared, s) for s in options.seeds]
    }
    if not options.no_classification:
        kinds[CLASSIFICATION] = [
            search(
                CONFIGS / "benchmark_clsnas",
                supernets[s] / "clsnas",
                {key: value for key, value in shared.items() if key != "data_root"}
                | {"search.supernet": str(supernets[s] / "pretrain" / "final.pth")},
                s,
            )
            for s in options.seeds
        ]
    # All are trained from slices of one pretraining.
    pretrained = options.work_dir / "base" / f"seed{options.seeds[0]}"
    first = Experiment(CONFIGS / "benchmark", pretrained, shared, options.seeds[0])
    plan = plan_search(first.stage("search").config)
    all_3x3 = (0,) * len(plan.costs.sampler.space.numbers)
    largest = plan.costs(all_3x3)["macs"]
    histories = [SearchHistory.read(supernets[s] / "search") for s in options.seeds]
    kinds[NO_LARGER] = [best_of(h, lambda row: row.costs["macs"] <= largest) for h in histories]
    kinds[FIRST] = [best_of(h, lambda row: row.generation == 0) for h in histories]
    kinds[ALL_3X3] = [all_3x3]
    drawn = read_table(options.table).subset(SPACE_GROUP).architectures
    kinds[RANDOM] = list(drawn[: options.random])
    listed = list(dict.fromkeys(choices for group in kinds.values() for choices in group))
    trained = train_all(first, plan, listed, options, from_nothing=False)
    scratch = train_all(first, plan, kinds[DETECTION], options, from_nothing=True)
    print(f"\n{'network':<30}{'choices':<24}{'MACs':>12}  val mAP of each training")
    for kind, group in kinds.items():
        for choices in group:
            print_network(kind, plan, choices, trained[choices])
    print()
    baseline = means(trained, kinds[RANDOM])
    for kind, group in kinds.items():
        print_group(kind, means(trained, group), baseline)
    print_group(FROM_NOTHING, means(scratch, kinds[DETECTION]), baseline)


def search(configs: Path, work_dir: Path, overrides: Mapping[str, object], seed: int) -> Choices:
    """The best architecture of an experiment's search, which runs unless it is finished."""
    run_experiment(Experiment(configs, work_dir, overrides, seed), ["search"], quiet=True)
    return Architecture.load(work_dir / "search" / BEST_FILE).choices


def best_of(history: SearchHistory, which: Callable[[Evaluation], bool]) -> Choices:
    """The best by the search's score of some of its candidates."""
    return next(row.choices for row in history.ranked() if which(row))


def train_all(
    experiment: Experiment,
    plan: SearchPlan,
    listed: Sequence[Choices],
    options: argparse.Namespace,
    from_nothing: bool,
) -> dict[Choices, np.ndarray]:
    """Scores of each architecture, one per training."""
    settings = ExecutorSettings("processes", workers=options.workers, timeout=TIMEOUT)
    columns = []
    for seed in range(options.trainings):
        name = f"{'nothing' if from_nothing else 'trained'}_seed{seed}"
        folder = options.work_dir / "found" / name
        recipe = experiment.stage("retrain").config
        trainings = standalone_trainings(recipe, plan, folder, seed, 1, from_nothing)
        history = evaluate_into(
            *(folder / FILE_NAME, trainings.fingerprint, listed),
            lambda make=trainings.make: build_executor(  # type: ignore[misc]
                settings, make, plan.settings.score, Machine(0, 1)
            ),
            *(plan.costs, print_trainings(name)),
        )
        columns.append({row.choices: row.score for row in history.rows})
    return {c: np.array([column[c] for column in columns], float) for c in listed}


def means(scores: Mapping[Choices, np.ndarray], group: Sequence[Choices]) -> np.ndarray:
    """The mean over trainings of each network."""
    return np.array([np.nanmean(scores[choices]) for choices in group])


def print_network(kind: str, plan: SearchPlan, choices: Choices, scores: np.ndarray) -> None:
    """One line of the list of networks."""
    macs = plan.costs(choices)["macs"]
    each = " ".join(f"{score:.4f}" for score in scores)
    print(f"{kind:<30}{choices_to_text(choices):<24}{macs:>12,.0f}  {each}")


def print_group(kind: str, group: np.ndarray, baseline: np.ndarray) -> None:
    """Mean, standard error over networks, and the difference from random networks."""
    line = f"{kind:<30}{len(group):>3} networks  mean {group.mean():.4f}"
    if len(group) > 1:
        line += f" ({group.std(ddof=1) / len(group) ** 0.5:.4f})"
    if kind != RANDOM:
        errors = [g.var(ddof=1) / len(g) for g in (group, baseline) if len(g) > 1]
        below = (baseline < group.mean()).mean()
        line += (
            f"  minus random {group.mean() - baseline.mean():+.4f} ({sum(errors) ** 0.5:.4f}), "
            f"above {below:.0%} of them"
        )
    print(line)


if __name__ == "__main__":
    main()
