"""`detnas report WORK_DIR`: the HTML page of a search or an experiment."""

import argparse
from pathlib import Path

from detnas.commands import options as shared
from detnas.errors import user_input


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("work_dir", type=Path, help="a search's or an experiment's folder")


def run(options: shared.Options) -> None:
    """Write `report.html` into the folder."""
    from detnas.report.page import write_report

    with user_input():
        print(f"written: {write_report(options.work_dir)}")
