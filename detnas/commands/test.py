"""`detnas test CONFIG CHECKPOINT`: evaluates a checkpoint on the test split.

`detnas test model.onnx` evaluates an exported detector beside its checkpoint.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from detnas.commands import options as shared
from detnas.errors import UserError, user_input
from detnas.files import make_writable, write_text
from search_space.architecture import parse_architecture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    shared.add_config(parser)
    parser.add_argument(
        "checkpoint",
        type=Path,
        nargs="?",
        help="omit it for an ONNX file of `detnas export`, given in place of CONFIG",
    )
    parser.add_argument(
        "--architecture", help="the path to score if the backbone is a supernet (see `cost`)"
    )
    parser.add_argument("--json", action="store_true", help="print the metrics as JSON")
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=("fp32", "fp16"),
        help="of an ONNX file (default: both)",
    )
    parser.add_argument("--device", help="of an ONNX file: cpu, cuda or cuda:0 (default: cpu)")
    shared.add_launcher(parser)


def run(options: shared.Options) -> None:
    """Score, print the metrics, and write them to `test_metrics.json`."""
    if options.config.suffix == ".onnx":
        _test_onnx(options)
        return
    if options.config.is_dir():
        raise UserError(_named_files(options.config))
    if options.checkpoint is None:
        raise UserError(f"no checkpoint: add it, as in `detnas test {options.config} CHECKPOINT`")
    for name in ("precision", "device"):
        if getattr(options, name) is not None:
            raise UserError(f"--{name} is for ONNX files, and {options.config} is none: omit it")
    with user_input():
        named = options.architecture
        choices = parse_architecture(named).unscaled_choices(named) if named else None
    config = shared.load(options)
    from detnas.distributed import on_rank_0, process_group
    from detnas.stages.scalars import show_test
    from detnas.stages.test import score_checkpoint, write_metrics

    with process_group(options.launcher) as is_first, user_input():
        on_rank_0(lambda: make_writable(config.work_dir))
        metrics = score_checkpoint(config, options.checkpoint, choices)
        if is_first:
            text = json.dumps(metrics, indent=2)
            lines = "\n".join(f"{key:<24} {value:.4f}" for key, value in metrics.items())
            print(text if options.json else lines, flush=True)
        write_metrics(metrics, Path(config.work_dir))
        show_test(config, metrics)


def _test_onnx(options: shared.Options) -> None:
    """Score an exported detector in its precisions, beside its checkpoint in torch."""
    file: Path = options.config
    for name in ("checkpoint", "architecture", "seed"):
        if getattr(options, name) is not None:
            raise UserError(f"{file} is an ONNX file, which takes no {name}: omit it")
    if options.launcher != "none":
        raise UserError(f"{file} is an ONNX file, which one process scores: omit --launcher")
    from detnas.stages.onnx_test import METRICS_FILE, score_onnx

    is_half = file.name.endswith("_fp16.onnx")
    precisions = options.precision or (["fp16"] if is_half else ["fp32", "fp16"])
    folder = options.work_dir or file.parent
    with user_input():
        scores = score_onnx(
            file,
            list(dict.fromkeys(precisions)),
            shared.overrides(options),
            options.work_dir,
            options.device or "cpu",
        )
    if "fp16" in scores and (options.device or "cpu") == "cpu":
        print(
            "fp16 on a CPU: onnxruntime rounds the weights alone and computes in fp32, so that an "
            "overflow is not seen; --device cuda computes in fp16",
            file=sys.stderr,
        )
    text = json.dumps(scores, indent=2)
    print(text if options.json else _columns(scores), flush=True)
    write_text(folder / METRICS_FILE, text + "\n")


def _named_files(folder: Path) -> str:
    """What to name in place of a folder, whose files are looked for without importing torch."""
    for checkpoint in (folder / "retrain/final.pth", folder / "model.pth", folder / "final.pth"):
        configs = sorted(checkpoint.parent.glob("*.py"))
        if checkpoint.is_file() and len(configs) == 1:
            return (
                f"{folder} is a folder: name a config and its checkpoint, as in `detnas test "
                f"{configs[0]} {checkpoint}`"
            )
    return f"{folder} is a folder: name a config and its checkpoint, or model.onnx"


def _columns(scores: Mapping[str, Mapping[str, float]]) -> str:
    """The metrics as a table of one column for each way to compute them."""
    lines = [f"{'':<24}" + "".join(f" {name:>8}" for name in scores)]
    for key in next(iter(scores.values())):
        values = "".join(f" {found.get(key, float('nan')):8.4f}" for found in scores.values())
        lines.append(f"{key:<24}{values}")
    return "\n".join(lines)
