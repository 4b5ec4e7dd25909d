"""What each command of the command line does; imports happen inside, when they are needed."""

import argparse
import ast
import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detnas.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config

Options = argparse.Namespace
USER_ERROR, INTERRUPTED = 2, 130


def train(options: Options) -> None:
    """`detnas train CONFIG`."""
    config = _config(options)
    from detnas.distributed import process_group
    from detnas.training.train import train as run

    with process_group(options.launcher) as is_first:
        weights = run(config, resume=options.resume)
        if is_first:
            print(f"final weights: {weights}")


def search(options: Options) -> None:
    """`detnas search CONFIG`."""
    config = _config(options)
    from detnas.console import print_progress, search_table
    from detnas.search.stage import search as run

    try:
        found = run(config, resume=options.resume, progress=print_progress)
    except KeyboardInterrupt:
        _say_how_to_go_on(options, Path(config.work_dir))
        raise SystemExit(INTERRUPTED) from None
    print(search_table(*found))
    print(f"written: {Path(config.work_dir) / 'best_architecture.json'}")


def _say_how_to_go_on(options: Options, work_dir: Path) -> None:
    from detnas.search.history.file import FILE_NAME
    from detnas.search.history.records import read_history

    history = work_dir / FILE_NAME
    if not history.is_file():
        print("detnas search: stopped before there was anything to keep", file=sys.stderr)
        return
    rows = read_history(history)
    arguments = [*options.arguments, *(() if options.resume else ("--resume",))]
    again = f"go on with: detnas {shlex.join(arguments)}"
    if "DETNAS_LAUNCHER" in os.environ:  # on a cluster that ends with it
        again = f"go on with the same {os.environ['DETNAS_LAUNCHER']} command and --resume"
    settled = sum(row.settled for row in rows)
    print(f"detnas search: stopped; {settled} results are in {history}; {again}", file=sys.stderr)


def test(options: Options) -> None:
    """`detnas test CONFIG CHECKPOINT`."""
    from search_space.architecture import parse_architecture

    choices = parse_architecture(options.architecture).choices if options.architecture else None
    config = _config(options)
    from detnas.distributed import process_group
    from detnas.evaluation.testing import score_checkpoint
    from detnas.files import write_text

    with process_group(options.launcher) as is_first:
        metrics = score_checkpoint(config, options.checkpoint, choices)
    if not is_first:
        return
    text = json.dumps(metrics, indent=2)
    write_text(Path(config.work_dir) / "test_metrics.json", text + "\n")
    print(text if options.json else "\n".join(f"{k:<24} {v:.4f}" for k, v in metrics.items()))


def export(options: Options) -> None:
    """`detnas export WORK_DIR`."""
    from detnas.search.best import CONFIG_FILE, find_best, write_best
    from detnas.search.history.file import find_history
    from detnas.search.history.records import read_fingerprint
    from search_space.architecture import Architecture, parse_architecture
    from search_space.spaces import SearchSpace

    history = find_history(options.work_dir)
    fingerprint = read_fingerprint(history)
    if options.architecture:
        if options.output is None:
            raise UserError("--architecture needs -o: the default file is the best one's")
        parsed = parse_architecture(options.architecture)
        space = SearchSpace.from_dict(fingerprint["space"])
        if parsed.space != space:
            raise UserError(
                f"--architecture is of space '{parsed.space.name}', the search of '{space.name}'"
            )
        architecture = Architecture(space, parsed.choices, fingerprint["channel_shuffle"])
    else:
        architecture = find_best(history).architecture
    if options.weights:
        from detnas.config import load_config
        from detnas.export.weights import export_weights

        supernet = options.supernet or load_config(history.parent / CONFIG_FILE).search.supernet
        export_weights(supernet, architecture, options.weights, fingerprint["supernet_sha256"])
        print(f"weights: {options.weights}")
    output = options.output or history.parent / "best_architecture.json"
    if options.architecture:
        architecture.save(output)
    else:
        write_best(history, output)
    print(f"architecture: {output}")


def run(options: Options) -> None:
    """`detnas run FOLDER`."""
    from detnas.distributed import process_group
    from detnas.pipeline import Experiment, check_experiment, run_experiment

    experiment = Experiment(
        options.folder,
        options.work_dir or Path("work_dirs") / options.folder.resolve().name,
        _overrides(options),
        options.seed,
    )
    if options.check:
        for stage, state in check_experiment(experiment, options.stages).items():
            print(f"{stage} {state}")
        return
    with process_group(options.launcher):
        run_experiment(experiment, options.stages, quiet=options.quiet)


def demo(options: Options) -> None:
    """`detnas demo`."""
    from detnas.demo import run_demo

    run_demo(options.work_dir, _overrides(options), options.seed)


def cost(options: Options) -> None:
    """`detnas cost WHAT`."""
    from search_space.architecture import parse_architecture
    from search_space.cost import macs, params

    architecture = parse_architecture(options.what)
    input_size = (3, *options.input_size)
    result = {
        "space": architecture.space.name,
        "choices": list(architecture.choices),
        "macs": macs(architecture, input_size),
        "params": params(architecture),
        "input_size": list(input_size),
    }
    if options.json:
        print(json.dumps(result))
    else:
        print(f"{architecture.key}\n{result['macs']:,} MACs at {options.input_size[0]}x", end="")
        print(f"{options.input_size[1]}, {result['params']:,} parameters (backbone alone)")


def import_weights(options: Options) -> None:
    """`detnas import-weights FILE`."""
    from detnas.export.authors import import_weights as run
    from search_space.architecture import parse_architecture
    from search_space.spaces import get_space

    result = run(
        options.file,
        options.output,
        architecture=parse_architecture(options.architecture) if options.architecture else None,
        supernet=get_space(options.supernet) if options.supernet else None,
        channel_shuffle=options.channel_shuffle,
    )
    print(f"{result.tensors} tensors written: {options.output}")
    if result.classifier:
        print("among them the classifier's")
    if result.left_out:
        print(f"left out: {len(result.left_out)} of the detector, first {result.left_out[0]}")
    if result.counters_added:
        print(f"batch norms without a counter of batches: {result.counters_added}, begun at 0")


def split(options: Options) -> None:
    """`detnas split ANNOTATIONS...`."""
    from detnas.data.split import split as run
    from detnas.data.split import split_table

    report = run(options.annotations, options.take, options.seed, options.output, options.prefix)
    print(json.dumps(report.to_dict()) if options.json else split_table(report))


def history(options: Options) -> None:
    """`detnas history WORK_DIR`."""
    from detnas.search.history import listing
    from detnas.search.history.file import find_history
    from detnas.search.history.records import read_fingerprint, read_history

    file = find_history(options.work_dir)
    rows = read_history(file)
    greater_is_better = read_fingerprint(file)["greater_is_better"]
    if options.front:
        from detnas.search.front import pareto_front

        rows = pareto_front(rows, options.front, greater_is_better)
    if options.csv:
        print(listing.history_csv(rows), end="")
    else:
        print(
            listing.history_json(rows)
            if options.json
            else listing.history_table(rows, greater_is_better)
        )


def report(options: Options) -> None:
    """`detnas report WORK_DIR`."""
    from detnas.report.page import write_report

    print(f"written: {write_report(options.work_dir)}")


def _config(options: Options) -> "Config":
    from detnas.config import load_config

    return load_config(options.config, _overrides(options), options.work_dir, options.seed)


def _overrides(options: Options) -> dict[str, Any]:
    overrides = {}
    for item in options.cfg_options:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise UserError(f"--cfg-options takes KEY=VALUE, not '{item}'")
        for opening, closing in ("()", "[]", "{}"):
            if value.count(opening) != value.count(closing):
                raise UserError(f"--cfg-options {item}: its '{opening}{closing}' do not match")
        overrides[key] = _value(value)
    if getattr(options, "auto_scale_lr", False):
        overrides["auto_scale_lr.enable"] = True
    return overrides


def _value(text: str) -> Any:
    """A value as OpenMMLab's users write it: a Python literal, true, a,b for a list, or text."""
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        if "," in text and not set(text) & set(":()[]{}"):
            return [_value(part) for part in text.split(",")]
        return text
    return list(value) if isinstance(value, tuple) and not text.startswith("(") else value
