"""`detnas search CONFIG`: searches the best path of a fine-tuned supernet."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from detnas.commands import INTERRUPTED
from detnas.commands import options as shared
from detnas.errors import user_input


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    shared.add_config(parser)
    parser.add_argument(
        "--resume",
        action="store_true",
        help="resume from the history; start a new search if there is none",
    )


def run(options: shared.Options) -> None:
    """Search, and print the result; when interrupted, print how to resume."""
    config = shared.load(options)
    from detnas.console import finalists_table, print_progress, search_table
    from detnas.search.finalists import FINALISTS_FILE, read_finalists
    from detnas.search.results import BEST_FILE
    from detnas.stages.search import search

    try:
        with user_input():
            history = search(config, resume=options.resume, progress=print_progress)
    except KeyboardInterrupt:
        _print_how_to_resume(options, Path(config.work_dir))
        raise SystemExit(INTERRUPTED) from None
    print(search_table(history))
    folder = history.path.parent
    found = read_finalists(folder)
    if found is not None:
        print(finalists_table(found))
        print(f"written: {folder / FINALISTS_FILE}")
    print(f"written: {folder / BEST_FILE}")


def _print_how_to_resume(options: shared.Options, work_dir: Path) -> None:
    from detnas.search.history.file import FILE_NAME
    from detnas.search.history.reading import SearchHistory

    history = work_dir / FILE_NAME
    if not history.is_file():
        print("detnas search: stopped before the first result", file=sys.stderr)
        return
    settled = sum(row.settled for row in SearchHistory.read(history).rows)
    arguments = [*options.arguments, *(() if options.resume else ("--resume",))]
    again = f"resume with: detnas {shlex.join(arguments)}"
    if "DETNAS_LAUNCHER" in os.environ:  # the launcher must start a new cluster
        again = f"resume with the same {os.environ['DETNAS_LAUNCHER']} command and --resume"
    print(f"detnas search: stopped; {settled} results are in {history}; {again}", file=sys.stderr)
