"""`detnas benchmark-latency WHAT`: the latency of the found network beside that of others."""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from detnas.commands import options as shared
from detnas.errors import UserError, printable, user_input

MOST = {"batch_size": 1_000_000, "threads": 1024, "rounds": 1_000_000}
"""What is accepted of each number."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "what",
        help="work directory of a finished experiment or search, whose config is executed, or an "
        "architecture (see `cost`)",
    )
    parser.add_argument(
        "--beside",
        nargs="+",
        default=["3x3", "resnet50"],
        metavar="NETWORK",
        help="3x3 (every block the first choice of the same space), architectures, resnet50, or "
        "names of timm's models (default: 3x3 resnet50)",
    )
    parser.add_argument(
        "--engines",
        nargs="+",
        choices=("torch", "onnxruntime"),
        default=["torch", "onnxruntime"],
        help="default: both",
    )
    shared.add_input_size(parser, None, "the test images of the work directory, else 224 224")
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
    for name, most in MOST.items():
        value = getattr(options, name)
        if not 1 <= value <= most:
            raise UserError(
                f"--{name.replace('_', '-')} is {value}; write an integer from 1 to {most:,}"
            )
    size = options.input_size
    if size is not None and (min(size) < 32 or max(size) > 8192):
        height, width = size
        raise UserError(
            f"--input-size is {height} {width} (height, width); each must be from 32 to 8192"
        )
    from detnas.console import latency_progress
    from detnas.stages.latency_benchmark import benchmark

    with user_input():
        found = benchmark(
            options.what,
            options.beside,
            list(dict.fromkeys(options.engines)),
            size and tuple(size),
            options.batch_size,
            options.rounds,
            options.threads,
            options.device,
            None if options.json else latency_progress(),
        )
    height, width = found.size
    if options.json:
        content = {
            "device": found.device,
            "input_size": [height, width],
            "timings": [timing.to_dict() for timing in found.timings],
        }
        print(json.dumps(content, indent=2))
        return
    print(_table(found.timings))
    print(
        f"medians and quartiles of {options.rounds} interleaved rounds, in ms for a batch of "
        f"{options.batch_size} at {height}x{width} (height x width, {printable(found.size_of)}); "
        f"threads: {options.threads}; {found.device}"
    )


def _table(timings: Sequence[Any]) -> str:
    """A row for each network and engine, with its time relative to the found network."""
    from detnas.console import columns

    lines = [("network", "engine", "MACs", "params", "median ms", "quartiles", "relative")]
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
