"""`detnas export WORK_DIR`: an architecture of a search as JSON, and its weights."""

import argparse
import ast
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from detnas.commands import options as shared
from detnas.errors import UserError, user_input
from detnas.search.history.reading import SearchHistory
from detnas.search.results import (
    BEST_FILE,
    CONFIG_FILE,
    best_candidate,
    named_choices,
    write_best,
)
from search_space.architecture import Architecture, macs, params, parse_scaling
from search_space.compound_scaling import BackboneScaling


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("work_dir", type=Path, help="work directory of `detnas search`")
    parser.add_argument(
        "-o", "--output", type=Path, help="JSON file (default: WORK_DIR/best_architecture.json)"
    )
    parser.add_argument("--architecture", help="instead of the best one (see `cost`)")
    parser.add_argument(
        "--scale",
        metavar="MODEL",
        help="make it wider and deeper as a model of EfficientDet, such as d3, or a coefficient",
    )
    parser.add_argument(
        "--weights", type=Path, help="also write its slice of the supernet's weights to this file"
    )
    parser.add_argument(
        "--supernet", type=Path, help="checkpoint to slice (default: the one that was searched)"
    )


def run(options: shared.Options) -> None:
    """Write the architecture, and its weights if asked for."""
    with user_input():
        history = SearchHistory.read(options.work_dir)
        output = options.output or history.path.parent / BEST_FILE
        if options.architecture and options.output is None:
            raise UserError("--architecture needs -o: the default file is for the best one")
        if options.scale and options.output is None:
            raise UserError("--scale needs -o: the default file is for the network of the search")
        if options.scale and options.weights:
            raise UserError("--weights: no weights of the supernet fit a scaled network; train it")
        scaling = _scaling(options.scale)
        if options.architecture:
            choices = named_choices(options.architecture, history.space, "--architecture")
            architecture = Architecture(history.space, choices, history.channel_shuffle)
        else:
            architecture = history.architecture(best_candidate(history))
        if options.weights:
            from detnas.export.weights import export_weights

            supernet = options.supernet or _searched_supernet(history)
            sha256 = history.recorded("supernet_sha256")
            export_weights(supernet, architecture, options.weights, sha256)
            print(f"weights: {options.weights}")
        exported = replace(architecture, scaling=scaling)
        if options.architecture:
            exported.save(output)
        else:
            write_best(history, output, scaling)
    print(f"architecture: {output}, {macs(exported):,} MACs, {params(exported):,} parameters")


def _scaling(text: str | None) -> BackboneScaling | None:
    """Of a model's name or a coefficient."""
    model: str | float | None = text
    with suppress(ValueError):
        model = float(text or "")
    return parse_scaling(model)


def _searched_supernet(history: SearchHistory) -> Path:
    """The checkpoint that the search's saved config names, which is read and not executed."""
    file = history.path.parent / CONFIG_FILE
    with suppress(OSError, SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        for statement in ast.parse(file.read_text(encoding="utf-8")).body:
            match statement:
                case ast.Assign(
                    targets=[ast.Name(id="search")],
                    value=ast.Call(func=ast.Name(id="dict"), keywords=keywords),
                ):
                    for keyword in keywords:
                        if keyword.arg == "supernet":
                            return Path(ast.literal_eval(keyword.value))
    raise UserError(f"{file} does not say which checkpoint was searched: name it by --supernet")
