"""`detnas run FOLDER`: the stages of an experiment in order."""

import argparse
import sys
from pathlib import Path

from detnas.commands import options as shared
from detnas.errors import user_input


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("folder", type=Path, help="an experiment, such as configs/bccd_retinanet")
    parser.add_argument("--work-dir", type=Path, help="default: work_dirs/<name of the folder>")
    shared.add_overrides(parser)
    parser.add_argument("--quiet", action="store_true", help="short progress lines instead of logs")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="as always: finished stages are skipped, and an interrupted one is resumed",
    )
    parser.add_argument("--stages", nargs="+", help="run only these stages", metavar="STAGE")
    parser.add_argument(
        "--check", action="store_true", help="only check, and print which stages are finished"
    )
    parser.add_argument(
        "--retrain-top",
        type=int,
        default=0,
        metavar="K",
        help="train the K best candidates without the search split, which then chooses among them",
    )
    shared.add_auto_scale_lr(parser)
    shared.add_launcher(parser)


def run(options: shared.Options) -> None:
    """Run the stages, or check them."""
    from detnas.console import result_table
    from detnas.distributed import process_group
    from detnas.report.folder import REPORT_FILE
    from detnas.stages.experiment import Experiment, check_experiment, run_experiment

    experiment = Experiment(
        options.folder,
        options.work_dir or Path("work_dirs") / options.folder.resolve().name,
        shared.overrides(options),
        options.seed,
    )
    with user_input():
        if options.check:
            checked = check_experiment(experiment, options.stages, options.retrain_top)
            for stage, found in checked.items():
                print(stage, "unfinished" if found.is_unfinished else "finished")
            print("all checks passed", file=sys.stderr)
            return
        with process_group(options.launcher):
            summary = run_experiment(experiment, options.stages, options.quiet, options.retrain_top)
        if summary is not None:
            print(result_table(summary, experiment.work_dir / REPORT_FILE))
