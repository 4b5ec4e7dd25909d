"""`detnas demo`: the whole method on embedded data, with a table and pictures at the end."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from detnas.config_keys import own_config
from detnas.console import result_table
from detnas.data.digits import BENCHMARK_HEIGHTS, write_digits
from detnas.report.folder import REPORT_FILE
from detnas.stages.experiment import Experiment, run_experiment

DEMO = own_config("demo")


def run_demo(work_dir: Path, overrides: Mapping[str, Any], seed: int | None = None) -> None:
    """Write the data, run the five stages, print the table; the pictures are the experiment's.

    On one thread of a CPU: the steps are so small that a second one slows them down, and loading
    needs the core (docs/benchmarks.md). The search has two workers of one thread.
    """
    torch.set_num_threads(1)
    write_digits(work_dir / "data", heights=BENCHMARK_HEIGHTS)
    summary = run_experiment(Experiment(DEMO, work_dir, overrides, seed), quiet=True)
    assert summary is not None, "without a choice of stages all of them are finished"
    print(result_table(summary, work_dir / REPORT_FILE))
    for path in sorted([*work_dir.glob("*.png"), *work_dir.glob("*.json")]):
        print(f"  written: {path}")
