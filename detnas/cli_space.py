"""The command line's part about spaces: `detnas space`, `sample` and `measure-latency`.

Parsing is here, work in `detnas.commands_space`, which needs numpy.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

Options = argparse.Namespace


def add_space_commands(command: Callable[[str, Any, str], argparse.ArgumentParser]) -> None:
    """Add the parsers; `command` makes one of a name, a function and a help text."""
    counted = command("space", _space, "count the architectures of a space within budgets")
    _space_arguments(counted)

    drawn = command("sample", _sample, "draw architectures of a space uniformly within budgets")
    _space_arguments(drawn)
    drawn.add_argument("-n", type=int, default=1, help="how many, with replacement (default: 1)")
    drawn.add_argument("--seed", type=int, default=0, help="default: 0")

    measured = command(
        "measure-latency", _measure_latency, "time every block of a space on this machine"
    )
    _space_and_size_arguments(measured)
    measured.add_argument("-o", "--output", type=Path, required=True, help="JSON file to write")
    for option, default, what in (
        ("--batch-size", 1, "images of the batch whose milliseconds are told"),
        ("--threads", 1, "CPU threads"),
        ("--rounds", 100, "each times every choice of every block twice"),
        ("--seed", 0, "of the paths of a round"),
    ):
        measured.add_argument(
            option, type=int, default=default, help=f"{what} (default: {default})"
        )
    for option, choices in (
        ("--dtype", ("float32", "bfloat16", "float16")),
        ("--memory-format", ("channels_last", "contiguous")),
        ("--channel-shuffle", ("even_odd", "interleave")),
    ):
        measured.add_argument(
            option, choices=choices, default=choices[0], help=f"default: {choices[0]}"
        )
    measured.add_argument("--device", default="cpu", help="cpu, cuda or cuda:0 (default: cpu)")


def _space_arguments(parser: argparse.ArgumentParser) -> None:
    _space_and_size_arguments(parser)
    parser.add_argument(
        "--budget",
        action="append",
        default=[],
        metavar="COST=LOWER..UPPER",
        help="such as macs=..260e6, params=1e6..1.6e6 or latency_ms=..20; may be repeated",
    )
    parser.add_argument(
        "--latency-table", type=Path, metavar="FILE", help="as `measure-latency` wrote"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _space_and_size_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("space", help="small, large, large-wide or tiny")
    add_input_size(parser)


def add_input_size(parser: argparse.ArgumentParser) -> None:
    """The option `--input-size H W` of commands that tell costs."""
    parser.add_argument(
        "--input-size",
        type=int,
        nargs=2,
        default=(224, 224),
        metavar=("H", "W"),
        help="of the image (default: 224 224)",
    )


def _space(options: Options) -> None:
    from detnas import commands_space

    commands_space.space(options)


def _sample(options: Options) -> None:
    from detnas import commands_space

    commands_space.sample(options)


def _measure_latency(options: Options) -> None:
    from detnas import commands_space

    commands_space.measure_latency(options)
