"""`detnas export WORK_DIR`: architectures of a search as JSON, its weights, whole networks.

With `--format` a trained detector for other programs: ONNX files, or mmdet's own tools.
"""

import argparse
import ast
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from detnas.commands import options as shared
from detnas.errors import UserError, user_input
from detnas.files import make_writable
from detnas.search.history.reading import SearchHistory
from detnas.search.pick import find_candidate
from detnas.search.portfolio import AT_MOST, networks_table, select_networks
from detnas.search.results import BEST_FILE, CONFIG_FILE, best_candidate, write_best
from search_space.architecture import macs, params, parse_scaling
from search_space.compound_scaling import BackboneScaling


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "work_dir",
        type=Path,
        help="work directory of `detnas search`; with --format also a checkpoint with its config "
        "beside it",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="JSON file (default: WORK_DIR/best_architecture.json); with --calibrated or --front a "
        "folder (default: WORK_DIR/calibrated or WORK_DIR/front), with --format too "
        "(WORK_DIR/onnx or WORK_DIR/torch)",
    )
    parser.add_argument(
        "--architecture",
        help="instead of the best one (see `cost`), or GENERATION.POSITION of `history`",
    )
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
    parser.add_argument(
        "--calibrated",
        action="store_true",
        help="write the whole network with recalibrated batch norm, ready to use; the search's "
        "saved config is executed",
    )
    parser.add_argument(
        "--front",
        nargs="*",
        metavar="COST",
        help="write so every network of the Pareto front of score and these costs (default: macs)",
    )
    parser.add_argument(
        "--at-most", type=int, metavar="N", help=f"networks of --front (default: {AT_MOST})"
    )
    parser.add_argument(
        "--format",
        choices=("onnx", "torch"),
        help="write the retrained detector: as ONNX files in fp32 and fp16, or as weights with a "
        "config that mmdet's own tools test; its config is executed",
    )


def run(options: shared.Options) -> None:
    """Write the architecture, and its weights if asked for; or whole networks."""
    is_front = options.front is not None
    if options.at_most is not None and not is_front:
        raise UserError("--at-most is for --front: add it, or leave --at-most out")
    if options.format is not None:
        _deploy(options)
        return
    if is_front or options.calibrated:
        _refuse_mixtures(options)
        with user_input():
            (_export_front if is_front else _export_network)(options)
    else:
        _export_architecture(options)


def _deploy(options: shared.Options) -> None:
    """Write a trained detector for other programs."""
    for name in ("architecture", "scale", "weights", "supernet", "calibrated", "front"):
        if getattr(options, name) not in (None, False):
            raise UserError(
                f"--{name} is for networks of a search, and --format writes a trained one: leave "
                f"--{name} out"
            )
    from detnas.stages.deploy import deploy

    with user_input():
        done = deploy(options.work_dir, options.format, options.output)
    for name, agreement in done.agreements.items():
        print(f"{name} in onnxruntime beside torch: {agreement}")
    if done.without_heads is not None and options.format == "onnx":
        print(f"no model.onnx: {done.without_heads}; the backbone is in backbone.onnx")
    print(f"written: {done.folder}: {', '.join(done.files)}")


def _refuse_mixtures(options: shared.Options) -> None:
    name = "--calibrated" if options.front is None else "--front"
    if options.weights:
        raise UserError(f"--weights: {name} writes the weights to its folder; leave one out")
    if options.scale:
        raise UserError(f"--scale: no weights of the supernet fit a scaled network; omit {name}")
    if options.front is not None and options.architecture:
        raise UserError("--architecture names one network, and --front exports many; leave one out")
    if options.at_most is not None and options.at_most < 1:
        raise UserError(f"--at-most is {options.at_most}; write an integer >= 1")


def _export_network(options: shared.Options) -> None:
    """Write the best network, or the named one, with recalibrated batch norm."""
    history = SearchHistory.read(options.work_dir)
    if options.architecture:
        choices, row = find_candidate(options.architecture, history)
    else:
        row = best_candidate(history)
        choices = row.choices
    from detnas.stages.deployable import NetworkExporter, require_free

    folder = options.output or history.path.parent / "calibrated"
    require_free(folder)
    exporter = NetworkExporter(history, options.supernet)
    make_writable(folder)
    network = exporter.export(choices, row, folder)
    print(f"network: {folder}, {history.architecture_of(choices).key}")
    if network.recorded is None:
        print(f"{history.score_name}: {network.exported}; the search has not scored it")
    elif network.is_exact:
        print(f"{history.score_name}: {network.exported}, exactly as the search has recorded")
    else:
        print(
            f"{history.score_name}: {network.exported}, but the search has recorded "
            f"{network.recorded}{_why(exporter.changed_inputs)}"
        )


def _export_front(options: shared.Options) -> None:
    """Write the networks of the front, and their lists."""
    history = SearchHistory.read(options.work_dir)
    costs = options.front or ["macs"]
    at_most = options.at_most if options.at_most is not None else AT_MOST
    selected = select_networks(history, costs, at_most)
    from detnas.stages.deployable import NetworkExporter
    from detnas.stages.front_export import CSV_FILE, JSON_FILE, export_networks

    folder = options.output or history.path.parent / "front"
    exporter = NetworkExporter(history, options.supernet)
    make_writable(folder)
    records = export_networks(exporter, history, selected, costs, folder, say=_say)
    print(networks_table(records))
    on_front = sum(record["on_front"] for record in records)
    print(
        f"{len(records)} networks, {on_front} of them on the front of score and {', '.join(costs)}"
    )
    others = [r for r in records if r["exported_score"] != r["search_score"]]
    if others:
        why = _why(exporter.changed_inputs)
        print(f"{len(others)} score otherwise than the search has recorded{why}")
    print(f"written: {folder / CSV_FILE}, {folder / JSON_FILE}")


def _say(line: str) -> None:
    with suppress(OSError):  # a closed terminal does not end an export
        print(line, file=sys.stderr, flush=True)


def _why(changed: list[str]) -> str:
    """What makes a score differ from the recorded one."""
    if changed:
        return f": since then, these have changed: {', '.join(changed)}"
    return ": another machine or another version of torch has other last digits"


def _export_architecture(options: shared.Options) -> None:
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
            choices, _ = find_candidate(options.architecture, history)
            architecture = history.architecture_of(choices)
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
