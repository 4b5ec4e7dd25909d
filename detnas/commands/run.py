"""`detnas run FOLDER`: the stages of an experiment in order."""

import argparse
import sys

from detnas.commands import check
from detnas.commands import options as shared
from detnas.errors import user_input


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    shared.add_experiment(parser)
    parser.add_argument("--quiet", action="store_true", help="short progress lines instead of logs")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="as always: finished stages are skipped, and an interrupted one is resumed",
    )
    parser.add_argument(
        "--check", action="store_true", help="only check, and say what it takes: `detnas check`"
    )
    check.add_quick(parser)
    shared.add_launcher(parser)


def run(options: shared.Options) -> None:
    """Run the stages, or check them."""
    from detnas.console import comparison_table, result_table
    from detnas.distributed import process_group
    from detnas.report.folder import REPORT_FILE
    from detnas.search.compared import read_comparison
    from detnas.stages.experiment import run_experiment

    if options.check:
        check.run(options)
        return
    experiment = shared.experiment(options)
    print(f"checking {experiment.folder}", file=sys.stderr, flush=True)
    with user_input():
        with process_group(options.launcher):
            summary = run_experiment(experiment, options.stages, options.quiet, options.retrain_top)
        if summary is not None:
            print(result_table(summary, experiment.work_dir / REPORT_FILE))
            compared = read_comparison(experiment.work_dir / "compare")
            if compared is not None and "comparison" in summary:
                print(comparison_table(compared))
