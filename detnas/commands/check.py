"""`detnas check FOLDER`: all problems of an experiment at once, and what it will cost."""

import argparse
import sys

from detnas.commands import options as shared
from detnas.errors import user_input


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    shared.add_experiment(parser)
    add_quick(parser)


def add_quick(parser: argparse.ArgumentParser) -> None:
    """`--quick`, which `detnas run --check` takes, too."""
    parser.add_argument(
        "--quick",
        action="store_true",
        help="do not measure; print which stages are finished instead",
    )


def run(options: shared.Options) -> None:
    """Check, and print the forecast; `detnas run --check` does the same."""
    from detnas.stages.experiment import check_experiment
    from detnas.stages.forecast import Forecaster
    from detnas.stages.forecast.text import forecast_table
    from detnas.stages.outlook import FORECAST_FILE, write_forecast

    experiment = shared.experiment(options)
    with user_input():
        checked = check_experiment(experiment, options.stages, options.retrain_top)
        if options.quick:
            for name, found in checked.items():
                print(name, "unfinished" if found.is_unfinished else "finished")
            print("all checks passed", file=sys.stderr)
            return
        print("all checks passed; measuring a few steps of each stage", file=sys.stderr)
        unfinished = [name for name, found in checked.items() if found.is_unfinished]
        stages = {name: experiment.stage(name) for name in unfinished}
        forecast = Forecaster(stages, experiment.work_dir).forecast()
    if (experiment.folder / FORECAST_FILE).is_file() and set(unfinished) == set(checked):
        write_forecast(experiment.folder, forecast.seconds)  # what `run` tells the time left by
    print(forecast_table(forecast, list(checked)))
