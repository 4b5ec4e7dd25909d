"""`detnas search CONFIG`: the best path of a fine-tuned supernet."""

import argparse
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
        help="resume from the history; start a new search where there is none",
    )


def run(options: shared.Options) -> None:
    """Search, and print the result; when interrupted, print how to resume."""
    config = shared.load(options)
    from detnas.console import print_progress, search_table
    from detnas.search.stage import search

    try:
        with user_input():
            found = search(config, resume=options.resume, progress=print_progress)
    except KeyboardInterrupt:
        _print_how_to_resume(options, Path(config.work_dir))
        raise SystemExit(INTERRUPTED) from None
    if found is not None:
        print(search_table(*found))
        print(f"written: {Path(config.work_dir) / 'best_architecture.json'}")


def _print_how_to_resume(options: shared.Options, work_dir: Path) -> None:
    from detnas.search.history.file import FILE_NAME
    from detnas.search.history.records import read_history

    history = work_dir / FILE_NAME
    if not history.is_file():
        print("detnas search: stopped before the first result", file=sys.stderr)
        return
    settled = sum(row.settled for row in read_history(history))
    again = shlex.join([*options.arguments, *(() if options.resume else ("--resume",))])
    print(
        f"detnas search: stopped; {settled} results are in {history}; go on with: detnas {again}",
        file=sys.stderr,
    )
