"""`detnas demo`: the whole method on embedded data."""

import argparse
from pathlib import Path

from detnas.commands import options as shared
from detnas.errors import user_input


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/demo"))
    shared.add_overrides(parser)


def run(options: shared.Options) -> None:
    """Run all stages, and print the results."""
    from detnas.stages.demo import run_demo

    with user_input():
        run_demo(options.work_dir, shared.overrides(options), options.seed)
