"""`detnas export WORK_DIR`: an architecture of a search as JSON, and its weights."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detnas.commands import options as shared
from detnas.errors import UserError, user_input
from detnas.search.best import BEST_FILE, CONFIG_FILE, find_best, write_best
from detnas.search.history.file import find_history
from detnas.search.history.records import read_fingerprint
from search_space.architecture import Architecture, parse_architecture
from search_space.spaces import SearchSpace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("work_dir", type=Path, help="where `detnas search` wrote")
    parser.add_argument(
        "-o", "--output", type=Path, help="JSON file (default: WORK_DIR/best_architecture.json)"
    )
    parser.add_argument("--architecture", help="another than the best one (see `cost`)")
    parser.add_argument(
        "--weights", type=Path, help="also slice its weights out of the supernet into this file"
    )
    parser.add_argument(
        "--supernet", type=Path, help="checkpoint to slice (default: the one that was searched)"
    )


def run(options: shared.Options) -> None:
    """Write the architecture, and the weights where asked for."""
    with user_input():
        history = find_history(options.work_dir)
        fingerprint = read_fingerprint(history)
        if options.architecture:
            if options.output is None:
                raise UserError("--architecture needs -o: the default file is the best one's")
            architecture = _named(options.architecture, fingerprint)
        else:
            architecture = find_best(history).architecture
        if options.weights:
            from detnas.export.weights import export_weights

            supernet = options.supernet or _searched_supernet(history)
            export_weights(supernet, architecture, options.weights, fingerprint["supernet_sha256"])
            print(f"weights: {options.weights}")
        output = options.output or history.parent / BEST_FILE
        if options.architecture:
            architecture.save(output)
        else:
            write_best(history, output)
    print(f"architecture: {output}")


def _named(text: str, fingerprint: Mapping[str, Any]) -> Architecture:
    """The architecture that the user named, with the channel shuffle of the search."""
    parsed, space = parse_architecture(text), SearchSpace.from_dict(fingerprint["space"])
    if parsed.space != space:
        raise UserError(
            f"--architecture is of space '{parsed.space.name}', the search of '{space.name}'"
        )
    return Architecture(space, parsed.choices, fingerprint["channel_shuffle"])


def _searched_supernet(history: Path) -> Path:
    from detnas.config import load_config

    return Path(load_config(history.parent / CONFIG_FILE).search.supernet)
