"""An experiment: the stages of a configs folder in order, skipping what is finished.

A folder holds `pretrain.py`, `finetune.py`, `search.py` and `retrain.py`, or some of them; the
retrained network is tested. Each stage works in its own folder under the experiment's; configs
name the results of earlier stages as "{experiment}/pretrain/final.pth" and the like.
"""

import hashlib
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detnas.config import load_config
from detnas.console import duration, print_progress
from detnas.evaluation.testing import score_checkpoint
from detnas.files import file_sha256, write_text
from detnas.search.stage import check_settings, search
from detnas.summary import METRICS, SUMMARY, illustrate, summarise
from detnas.training.hooks import FINAL_WEIGHTS
from detnas.training.train import check_data, train

if TYPE_CHECKING:
    from mmengine.config import Config

STAGES = ("pretrain", "finetune", "search", "retrain", "test")
CONFIG_OF_STAGE = {stage: f"{stage}.py" for stage in STAGES} | {"test": "retrain.py"}
STAGE_FILE = "stage.json"


@dataclass(frozen=True)
class Experiment:
    """Where an experiment's configs are, where it works, and what overrides its configs."""

    folder: Path
    work_dir: Path
    overrides: Mapping[str, Any]
    seed: int | None

    def config(self, stage: str) -> "Config":
        """The resolved config of a stage."""
        file = self.folder / CONFIG_OF_STAGE[stage]
        return load_config(file, self.overrides, self.work_dir / stage, self.seed)

    def stages(self) -> list[str]:
        """The stages that the folder has configs for."""
        return [s for s in STAGES if (self.folder / CONFIG_OF_STAGE[s]).is_file()]


def run_experiment(
    folder: Path,
    work_dir: Path,
    overrides: Mapping[str, Any],
    seed: int | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Run every stage that is not finished, go on with one that was interrupted.

    Args:
        folder: of configs.
        work_dir: the experiment's.
        overrides: applied to every stage's config.
        seed: None takes the configs' own.
        quiet: short progress lines instead of mmengine's logs.
    Returns:
        What is also written to `summary.json`.
    Raises:
        FileNotFoundError, ValueError: a folder without configs; data, budgets or keys of any stage
            that do not do, all before the first; a stage begun under another config or from other
            inputs.
    """
    experiment = Experiment(folder, work_dir, overrides, seed)
    stages = experiment.stages()
    if not stages:
        raise FileNotFoundError(f"{folder} holds none of pretrain.py, finetune.py, search.py, ...")
    for stage in stages:
        if stage == "search":
            check_settings(experiment.config(stage))
        elif stage != "test":
            check_data(experiment.config(stage))
    for number, stage in enumerate(stages, 1):
        _run_stage(experiment, stage, f"[{number}/{len(stages)}] {stage}", quiet)
    summary = summarise(work_dir, {s: _seconds(work_dir / s) for s in stages})
    write_text(work_dir / SUMMARY, json.dumps(summary, indent=2) + "\n")
    illustrate(work_dir, experiment.config("test") if "test" in stages else None)
    return summary


def _run_stage(experiment: Experiment, stage: str, title: str, quiet: bool) -> None:
    config = experiment.config(stage)
    folder = Path(config.work_dir)
    state: dict[str, Any] = {
        "config_sha256": _config_digest(config, experiment.work_dir),
        "inputs_sha256": _input_digests(experiment, stage, config),
        "seconds": None,
    }
    before = _read_state(folder)
    if before is not None:
        causes = {
            "config_sha256": "under another config",
            "inputs_sha256": "from other weights or another architecture",
        }
        for key, what in causes.items():
            if before[key] != state[key]:
                raise ValueError(
                    f"{folder} was begun {what}: remove it to run the stage anew, or choose "
                    "another --work-dir"
                )
        if before["seconds"] is not None:
            print(f"{title}: finished before, in {duration(before['seconds'])}", file=sys.stderr)
            return
    print(title, file=sys.stderr, flush=True)
    if before is None:
        write_text(folder / STAGE_FILE, json.dumps(state, indent=2) + "\n")
    began = time.monotonic()
    _work(experiment, stage, config, quiet)
    state["seconds"] = time.monotonic() - began
    write_text(folder / STAGE_FILE, json.dumps(state, indent=2) + "\n")
    print(f"{title}: {duration(state['seconds'])}", file=sys.stderr, flush=True)


def _work(experiment: Experiment, stage: str, config: "Config", quiet: bool) -> None:
    if stage == "search":
        search(config, resume=True, progress=print_progress)
    elif stage == "test":
        metrics = score_checkpoint(config, experiment.work_dir / "retrain" / FINAL_WEIGHTS)
        write_text(Path(config.work_dir) / METRICS, json.dumps(metrics, indent=2) + "\n")
    else:
        if quiet:
            config.console_level = "ERROR"
            progress = {"type": "ProgressHook", "stage": stage}
            config.custom_hooks = [*config.get("custom_hooks", []), progress]
        train(config, resume=True)


def _read_state(folder: Path) -> dict[str, Any] | None:
    path = folder / STAGE_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _seconds(folder: Path) -> float:
    state = _read_state(folder)
    assert state is not None
    return float(state["seconds"])


def _config_digest(config: "Config", experiment: Path) -> str:
    """Of what a stage does; where the experiment lies is left out, so that it may be moved."""
    what = {key: value for key, value in config.to_dict().items() if key != "work_dir"}
    text = json.dumps(what, sort_keys=True, default=str)
    return hashlib.sha256(text.replace(str(experiment), "{experiment}").encode()).hexdigest()


def _input_digests(experiment: Experiment, stage: str, config: "Config") -> dict[str, str]:
    """Hashes of what earlier stages left for this one."""
    backbone = config.model.backbone
    files = {
        "load_from": config.get("load_from"),
        "backbone": (backbone.get("init_cfg") or {}).get("checkpoint"),
        "architecture": backbone.get("architecture"),
    }
    if stage == "search":
        files = {"supernet": config.search.supernet}
    elif stage == "test":
        files = {"weights": str(experiment.work_dir / "retrain" / FINAL_WEIGHTS)}
    return {
        name: file_sha256(file)
        for name, file in files.items()
        if isinstance(file, str) and Path(file).is_file()
    }
