"""`detnas benchmark-latency WHAT`: the latency of the found network beside that of others."""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from detnas.commands import options as shared
from detnas.errors import UserError, user_input


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "what", help="work directory of a finished search, or an architecture (see `cost`)"
    )
    parser.add_argument(
        "--beside",
        nargs="+",
        default=["shufflenetv2-20", "resnet50"],
        metavar="NETWORK",
        help="architectures, resnet50, or names of timm's models (default: shufflenetv2-20 "
        "resnet50)",
    )
    parser.add_argument(
        "--engines",
        nargs="+",
        choices=("torch", "onnxruntime"),
        default=["torch", "onnxruntime"],
        help="default: both",
    )
    shared.add_input_size(parser)
    for option, default, what in (
        ("--batch-size", 1, "images per measured batch"),
        ("--threads", 1, "CPU threads"),
        ("--rounds", 50, "each times every network once"),
    ):
        parser.add_argument(option, type=int, default=default, help=f"{what} (default: {default})")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:0 (default: cpu)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: shared.Options) -> None:
    """Measure, and print a table."""
    for name in ("batch_size", "threads", "rounds"):
        if getattr(options, name) < 1:
            raise UserError(
                f"--{name.replace('_', '-')} is {getattr(options, name)}; write an integer >= 1"
            )
    if min(options.input_size) < 32 or max(options.input_size) > 8192:
        raise UserError(f"--input-size is {options.input_size}; each side must be from 32 to 8192")
    from detnas.console import latency_progress
    from detnas.stages.latency_benchmark import benchmark

    with user_input():
        timings, device = benchmark(
            options.what,
            options.beside,
            list(dict.fromkeys(options.engines)),
            tuple(options.input_size),
            options.batch_size,
            options.rounds,
            options.threads,
            options.device,
            None if options.json else latency_progress(),
        )
    if options.json:
        content = {"device": device, "timings": [timing.to_dict() for timing in timings]}
        print(json.dumps(content, indent=2))
        return
    height, width = options.input_size
    print(_table(timings))
    print(
        f"medians and quartiles of {options.rounds} interleaved rounds, in ms for a batch of "
        f"{options.batch_size} at {height}x{width}; {options.threads} threads; {device}"
    )


def _table(timings: Sequence[Any]) -> str:
    """A row for each network and engine, with its time relative to the found network."""
    from detnas.console import columns

    lines = [("network", "engine", "MACs", "params", "median", "quartiles", "relative")]
    first = {timing.engine: timing.median for timing in reversed(timings)}
    for one in timings:
        lines.append(
            (
                *(one.network, one.engine, f"{one.macs / 1e6:,.0f}M", f"{one.params / 1e6:.2f}M"),
                f"{one.median:.2f}",
                f"{one.lower:.2f}-{one.upper:.2f}",
                f"{one.median / first[one.engine]:.2f}x",
            )
        )
    return "\n".join(columns(lines, right=range(2, len(lines[0]))))
