"""Runs one stage, unless it is finished, and records its time."""

import sys
import time
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, is_main_process

from detnas.console import duration
from detnas.stages import identity
from detnas.stages.base import Stage
from detnas.stages.state import check_inputs, read_state, spent_before, write_state


def print_line(line: str) -> None:
    """Print on standard error, in the main process."""
    if is_main_process():
        print(line, file=sys.stderr, flush=True)


def run_stage(stage: Stage, title: str, quiet: bool, later: float | None) -> None:
    """Run a stage that is not finished, or resume it; its `stage.json` says how far it is.

    Args:
        stage: checked.
        title: begins the lines that say what runs.
        quiet, later: as `Stage.run` takes them.
    Raises:
        UserError: the stage was begun from other inputs.
    """
    config = stage.identity()
    state: dict[str, Any] = {
        "config_sha256": identity.digest(config, stage.experiment_dir),
        "inputs_sha256": stage.input_hashes(),
        "seconds": None,
        "config": identity.plain(config, stage.experiment_dir),
        "folder": str(Path.cwd()),
    }
    before = read_state(stage.work_dir)
    if before is not None and stage.has_nothing():
        before = None
    if before is not None:
        check_inputs(stage, before["inputs_sha256"], state["inputs_sha256"])
        if before["seconds"] is not None and not stage.has_grown():
            print_line(f"{title}: finished before, in {duration(before['seconds'])}")
            return
    print_line(title)
    state["spent"] = 0.0 if before is None else spent_before(stage.work_dir, before)
    state["began"] = time.time()
    write_state(stage.work_dir, state)
    began = time.monotonic()
    stage.run(quiet, later)
    barrier()  # the next stage's inputs are written
    state["seconds"] = state["spent"] + time.monotonic() - began
    write_state(stage.work_dir, state)
    print_line(f"{title}: {duration(state['seconds'])}")
