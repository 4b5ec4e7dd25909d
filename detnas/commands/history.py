"""`detnas history WORK_DIR`: what a search has evaluated."""

import argparse
from pathlib import Path

from detnas.commands import options as shared
from detnas.search.history import listing
from detnas.search.history.file import find_history
from detnas.search.history.records import read_fingerprint, read_history


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("work_dir", type=Path, help="where `detnas search` writes")
    parser.add_argument(
        "--front", nargs="+", metavar="COST", help="only the Pareto front of the score and these"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print CSV, with all costs and metrics")


def run(options: shared.Options) -> None:
    """Print the candidates as a table, JSON or CSV."""
    file = find_history(options.work_dir)
    rows = read_history(file)
    greater_is_better = read_fingerprint(file)["greater_is_better"]
    if options.front:
        from detnas.search.front import pareto_front

        rows = pareto_front(rows, options.front, greater_is_better)
    if options.csv:
        print(listing.history_csv(rows), end="")
    elif options.json:
        print(listing.history_json(rows))
    else:
        print(listing.history_table(rows, greater_is_better))
