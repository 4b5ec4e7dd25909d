"""`detnas fidelity FOLDER`: compares a supernet's scores with networks trained on their own."""

import argparse
from pathlib import Path

from detnas.commands import options as shared
from detnas.errors import user_input


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("folder", type=Path, help="an experiment, such as configs/bccd_retinanet")
    parser.add_argument("--work-dir", type=Path, help="default: work_dirs/<name of the folder>")
    shared.add_overrides(parser)
    parser.add_argument(
        "--architectures", type=int, default=24, metavar="N", help="drawn uniformly (default: 24)"
    )
    parser.add_argument(
        "--within",
        action="append",
        default=[],
        metavar="COST=LOWER..UPPER",
        help="draw N more within a band of a cost, such as macs=36e6..38e6; may be repeated",
    )
    parser.add_argument(
        "--seeds", type=int, default=2, metavar="N", help="trainings of each (default: 2)"
    )
    parser.add_argument(
        "--also",
        nargs="+",
        default=[],
        metavar="ARCHITECTURE",
        help="compare these with the drawn ones: 'found' is the search's, others as for `cost`",
    )
    parser.add_argument(
        "--from-nothing",
        type=int,
        default=0,
        metavar="N",
        help="train N of the architectures (and N of the band) from random weights, too",
    )
    parser.add_argument("--workers", type=int, help="processes (default: one a GPU, or a CPU)")
    parser.add_argument("--threads", type=int, default=1, help="of each process (default: 1)")


def run(options: shared.Options) -> None:
    """Score and train, and print the comparison."""
    from detnas.console import fidelity_table, print_trainings
    from detnas.stages.experiment import Experiment
    from detnas.stages.fidelity import Fidelity
    from detnas.stages.fidelity_plan import FidelityPlan
    from search_space.budget import parse_budget

    experiment = Experiment(
        options.folder,
        options.work_dir or Path("work_dirs") / options.folder.resolve().name,
        shared.overrides(options),
    )
    with user_input():
        plan = FidelityPlan(
            architectures=options.architectures,
            within=tuple(map(parse_budget, options.within)),
            seeds=options.seeds,
            from_nothing=options.from_nothing,
            workers=options.workers,
            threads=options.threads,
            draw_seed=options.seed or 0,
            also=tuple(options.also),
        )
        comparison = Fidelity(experiment, plan)
        result = comparison.run(print_trainings("fidelity"))
    print(fidelity_table(result.compared))
    for each in result.also:
        print(f"  {each}")
    for note in result.notes:
        print(f"  note: {note}")
    for failure in result.failures:
        print(f"  failed  {failure}")
    print(f"written: {comparison.work_dir}")
