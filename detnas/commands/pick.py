"""`detnas pick WORK_DIR`: answers another budget from the history of a search."""

import argparse
import json
import sys
from pathlib import Path

from detnas.commands import options as shared
from detnas.errors import UserError
from detnas.files import write_text
from detnas.search.history.file import FILE_NAME
from detnas.search.history.reading import SearchHistory
from detnas.search.pick import FEW, Pick, pick, read_budgets
from detnas.search.results import architecture_document
from search_space.budget import readable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("work_dir", type=Path, help="work directory of `detnas search`")
    parser.add_argument(
        "--budget",
        action="append",
        required=True,
        metavar="COST=LOWER..UPPER",
        help="such as macs=..200e6, for the image size of the search; may be repeated",
    )
    parser.add_argument(
        "-o", "--output", type=Path, help="also write the architecture to this JSON file"
    )
    parser.add_argument(
        "--search-on",
        type=int,
        metavar="N",
        help="search under these budgets, from the best within them, N evaluations more; the "
        "search's saved config is executed",
    )
    parser.add_argument(
        "--work-dir",
        dest="new_work_dir",
        type=Path,
        help="of --search-on (default: WORK_DIR/search_BUDGET)",
    )
    parser.add_argument(
        "--supernet", type=Path, help="checkpoint for --search-on (default: the one searched)"
    )


def run(options: shared.Options) -> None:
    """Print the best recorded candidate within the budgets; search on if asked to."""
    history = SearchHistory.read(options.work_dir)
    budgets = read_budgets(options.budget, history)
    if options.search_on is None:
        for value, name in ((options.new_work_dir, "--work-dir"), (options.supernet, "--supernet")):
            if value is not None:
                raise UserError(f"{name} is for --search-on: add it, or leave {name} out")
    elif options.search_on < 1:
        raise UserError(f"--search-on is {options.search_on}; write an integer >= 1")
    found = pick(history, budgets)
    if options.output and found.best is None and options.search_on is None:
        raise UserError(f"{_none(found, history)}, so there is none for {options.output}")
    hint = "" if options.search_on is not None else "; --search-on N searches there"
    _print(history, found, hint)
    if options.search_on is not None:
        history = _search_on(options, history, found)
        found = pick(history, budgets)
        print(f"after the search in {history.path.parent}:")
        _print(history, found, "")
    if options.output and found.best is not None:
        document = architecture_document(history, found.best)
        write_text(options.output, json.dumps(document, indent=2) + "\n")
        print(f"written: {options.output}")


def _search_on(options: shared.Options, history: SearchHistory, found: Pick) -> SearchHistory:
    from detnas.console import print_progress
    from detnas.stages.search_on import folder_name, search_on

    given: Path = options.work_dir
    parent = given if given.is_dir() else history.path.parent
    folder = options.new_work_dir or parent / folder_name(found.budgets)
    if (folder / FILE_NAME).is_file():
        print(f"resuming the search in {folder}", file=sys.stderr)
    return search_on(
        history, found.budgets, options.search_on, folder, options.supernet, print_progress
    )


def _none(found: Pick, history: SearchHistory) -> str:
    within = " and ".join(map(str, found.budgets))
    costs = []
    for budget in found.budgets:
        values = [row.costs[budget.cost] for row in history.rows if row.score is not None]
        if values:
            costs.append(f"{readable(min(values))} to {readable(max(values))} {budget.cost}")
    return (
        f"none of the {found.recorded} recorded candidates lies within {within}; they have "
        f"{' and '.join(costs) or 'no scores'}: name another budget, or search there with "
        "--search-on N"
    )


def _print(history: SearchHistory, found: Pick, hint: str) -> None:
    from detnas.console import table

    if found.best is None:
        print(f"{_none(found, history)}{hint}")
        return
    best = found.best
    costs = ", ".join(f"{name} {readable(value)}" for name, value in best.costs.items())
    lines = [
        ("budget", " and ".join(map(str, found.budgets))),
        ("best recorded", history.architecture(best).key),
        (history.score_name, f"{best.score:.4f}"),
        ("costs", costs),
        ("within the budget", f"{found.within} of {found.recorded}, {found.random} of them random"),
    ]
    print(table(lines))
    if found.within < FEW:
        print(f"few candidates ({found.within}) lie within, so others may well be better{hint}")
