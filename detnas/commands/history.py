"""`detnas history WORK_DIR`: lists the candidates of a search."""

import argparse
from pathlib import Path

from detnas.commands import options as shared
from detnas.search.history import listing
from detnas.search.history.reading import SearchHistory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("work_dir", type=Path, help="work directory of `detnas search`")
    parser.add_argument(
        "--front", nargs="+", metavar="COST", help="only the Pareto front of score and these costs"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print CSV, with all costs and metrics")


def run(options: shared.Options) -> None:
    """Print the candidates as a table, JSON or CSV."""
    history = SearchHistory.read(options.work_dir)
    rows = history.front(options.front) if options.front else history.rows
    if options.csv:
        print(listing.history_csv(rows), end="")
    elif options.json:
        print(listing.history_json(rows))
    else:
        print(listing.history_table(rows, history.greater_is_better))
