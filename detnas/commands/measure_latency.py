"""`detnas measure-latency SPACE -o FILE`: the latency of every block of a space on this machine."""

import argparse
import json
import os
from pathlib import Path

from detnas.commands import options as shared
from detnas.errors import UserError, user_input
from search_space.latency import LatencySettings
from search_space.spaces import get_space


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    shared.add_space(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file to write")
    for option, default, what in (
        ("--batch-size", 1, "images per measured batch"),
        ("--threads", 1, "CPU threads"),
        ("--rounds", 100, "each measures every choice of every block twice"),
        ("--seed", 0, "seed of the random paths"),
    ):
        parser.add_argument(option, type=int, default=default, help=f"{what} (default: {default})")
    for option, choices in (
        ("--dtype", ("float32", "bfloat16", "float16")),
        ("--memory-format", ("channels_last", "contiguous")),
        ("--channel-shuffle", ("even_odd", "interleave")),
    ):
        parser.add_argument(
            option, choices=choices, default=choices[0], help=f"default: {choices[0]}"
        )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:0 (default: cpu)")


def run(options: shared.Options) -> None:
    """Measure, and write the table for `latency_ms` budgets."""
    with user_input():
        space = get_space(options.space)
        settings = LatencySettings(
            input_size=(3, *options.input_size),
            batch_size=options.batch_size,
            threads=options.threads,
            dtype=options.dtype,
            memory_format=options.memory_format,
            channel_shuffle=options.channel_shuffle,
            rounds=options.rounds,
            seed=options.seed,
        )
    _check_writable(options.output)
    from detnas.console import latency_progress, table
    from detnas.evaluation.latency import measure_latency
    from detnas.files import write_text

    measured = measure_latency(space, settings, options.device, latency_progress())
    write_text(options.output, json.dumps(measured.to_dict(), indent=2) + "\n")
    lines = [
        ("latency", f"{measured.costs.min:.4g} to {measured.costs.max:.4g} ms"),
        ("measured on", measured.conditions),
        ("written", str(options.output)),
    ]
    print(table(lines))


def _check_writable(path: Path) -> None:
    """Raise UserError before the work if the file cannot be written afterwards."""
    if path.is_dir():
        raise UserError(f"-o {path} is a folder: name a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"-o {path}: no permission to write to {path.parent}; name another")
