"""`detnas report WORK_DIR`: the HTML page of a search or an experiment."""

import argparse
import sys
from pathlib import Path

from detnas.commands import options as shared
from detnas.errors import UserError, printable, user_input

SECONDS = 30.0
LEAST, MOST = 1.0, 86_400.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("work_dir", type=Path, help="a search's or an experiment's folder")
    parser.add_argument(
        "--watch",
        nargs="?",
        type=float,
        const=SECONDS,
        metavar="SECONDS",
        help="write the page again after every change, until nothing runs there; "
        f"looks every SECONDS (default {SECONDS:g})",
    )


def run(options: shared.Options) -> None:
    """Write `report.html` into the folder, once or until nothing runs there."""
    from detnas.report.page import write_report
    from detnas.report.watch import watch_report

    if options.watch is not None and not LEAST <= options.watch <= MOST:
        raise UserError(
            f"--watch is {options.watch:g}; it must be from {LEAST:g} to {MOST:g} seconds"
        )
    with user_input():
        if options.watch is None:
            path = write_report(options.work_dir, warn=_warn)
        else:
            path = watch_report(
                options.work_dir, options.watch, lambda line: print(line, flush=True), _warn
            )
    print(f"written: {path}")


def _warn(line: str) -> None:
    print(f"left out: {printable(line)}", file=sys.stderr, flush=True)
