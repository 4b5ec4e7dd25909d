"""What the programs of training speed share: options, ratios of interleaved times, table, JSON.

Times are those of the wall clock, or with `--clock processor` of the processor: on a CPU that other
programs share, with one thread, the latter varies less. CUDA is timed by the wall clock.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from detnas.console import latency_progress
from detnas.evaluation.latency import Clock, device_name, require_device
from detnas.networks.freed_memory import keep_freed_memory


@dataclass(frozen=True)
class Row:
    """One side of a comparison.

    Attributes:
        name: of the side.
        median, low, high: milliseconds over the rounds.
        ratio, ratio_low, ratio_high: its time over that of the reference in the same round.
    """

    name: str
    median: float
    low: float
    high: float
    ratio: float
    ratio_low: float
    ratio_high: float


def rows_of(names: Sequence[str], times: np.ndarray, reference: int = 0) -> list[Row]:
    """Medians and ranges of times in milliseconds, (rounds, sides), and of ratios to one side."""
    ratios = times / times[:, reference, None]
    spread = [(np.median(each, 0), each.min(0), each.max(0)) for each in (times, ratios)]
    return [
        Row(name, *(float(values[side]) for each in spread for values in each))
        for side, name in enumerate(names)
    ]


def interleaved(
    sides: Mapping[str, Callable[[], float | None]],
    device: torch.device,
    rounds: int,
    clock: str,
    uncounted: int = 1,
    warm_up: int = 1,
    quiet: bool = False,
) -> np.ndarray:
    """Milliseconds of each side in each round, (rounds, sides); a round has a random order.

    Args:
        sides: what is timed. One that returns a number has timed itself: a process of its own.
        device: on which they work.
        rounds: that count.
        clock: "wall" or "processor".
        uncounted: runs of a side before the one that is timed, so that it has the cache.
        warm_up: rounds before those that count.
        quiet: without a line of progress.
    """
    keep_freed_memory()
    rng = np.random.default_rng(0)
    names, progress = list(sides), latency_progress()
    times = np.empty((warm_up + rounds, len(names)))
    for number, row in enumerate(times, 1):
        for index in rng.permutation(len(names)):
            for _ in range(uncounted):
                sides[names[index]]()
            row[index] = _timed(sides[names[index]], device, clock)
        if not quiet:
            progress(number, len(times))
    return times[warm_up:]


def _timed(run: Callable[[], float | None], device: torch.device, clock: str) -> float:
    if clock == "processor" and device.type == "cpu":
        begun = time.process_time()
        itself = run()
        taken = 1e3 * (time.process_time() - begun)
    else:
        stamps = Clock(device)
        itself = run()
        stamps.mark()
        taken = stamps.milliseconds()[0]
    return taken if itself is None else itself


def row_text(row: Row) -> str:
    """One aligned line."""
    return (
        f"  {row.name:<34}{row.median:>9.1f} ms ({row.low:.1f} to {row.high:.1f})"
        f"   {row.ratio:.3f} ({row.ratio_low:.3f} to {row.ratio_high:.3f})"
    )


def add_common_options(parser: argparse.ArgumentParser, rounds: int) -> None:
    """The options that all of these programs have."""
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", default="wall", choices=["wall", "processor"])
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="where to write the figures")


def start(options: argparse.Namespace) -> torch.device:
    """Set threads and seed, print the machine, and return the device."""
    device = require_device(options.device)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    machine = f"{device_name(device)}, {options.threads} thread(s)"
    print(f"{machine}, {options.clock} clock, torch {torch.__version__}")
    return device


def write_json(options: argparse.Namespace, figures: Mapping[str, Any]) -> None:
    """Write the figures, the command and the machine to `--json`, if it was given."""
    if options.json is None:
        return
    content = {
        "command": shlex.join(["python", *sys.argv]),
        "machine": device_name(require_device(options.device)),
        "threads": options.threads,
        "clock": options.clock,
        "torch": torch.__version__,
        **figures,
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2, default=_plain)
    options.json.write_text(text + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    return asdict(value) if isinstance(value, Row) else value.tolist()
