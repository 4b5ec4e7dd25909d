"""An experiment: the stages of a configs folder in order, skipping what is finished.

A folder holds `pretrain.py`, `finetune.py`, `search.py`, `pretrain_subnet.py` (one network on
classification) and `retrain.py` (one network under a detector), or some of them; the retrained
network is tested. Each stage works in its own folder under the experiment's; configs name the
results of earlier stages as "{experiment}/pretrain/final.pth", and those of another experiment as
"{experiment}/../other/pretrain/final.pth".
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.dist import barrier, get_world_size, is_main_process

from detnas.config import load_config, unknown_options
from detnas.console import duration, print_progress
from detnas.distributed import on_rank_0
from detnas.errors import MissingFileError, UserError
from detnas.evaluation.testing import score_checkpoint
from detnas.files import file_sha256, write_text
from detnas.search.history.file import FILE_NAME
from detnas.search.history.records import RANDOM, read_fingerprint, read_history
from detnas.search.plan import plan_search
from detnas.search.settings import SearchSettings
from detnas.search.stage import search
from detnas.summary import METRICS, SUMMARY, illustrate, summarise
from detnas.training.hooks import FINAL_WEIGHTS
from detnas.training.train import check_training, train

if TYPE_CHECKING:
    from mmengine.config import Config

STAGES = ("pretrain", "finetune", "search", "pretrain_subnet", "retrain", "test")
CONFIG_OF_STAGE = {stage: f"{stage}.py" for stage in STAGES} | {"test": "retrain.py"}
STAGE_FILE = "stage.json"
FINISHED, UNFINISHED = "finished", "unfinished"


@dataclass(frozen=True)
class Experiment:
    """Where an experiment's configs are, where it works, and what overrides its configs."""

    folder: Path
    work_dir: Path
    overrides: Mapping[str, Any]
    seed: int | None = None

    def config(self, stage: str) -> "Config":
        """The resolved config of a stage."""
        work_dir = Path(os.path.normpath(self.work_dir)) / stage
        return load_config(self.file(stage), self.overrides, work_dir, self.seed, strict=False)

    def file(self, stage: str) -> Path:
        """The config file of a stage."""
        return self.folder / CONFIG_OF_STAGE[stage]

    def stages(self) -> list[str]:
        """The stages that the folder has configs for. FileNotFoundError where there are none."""
        stages = [stage for stage in STAGES if self.file(stage).is_file()]
        if not stages:
            raise MissingFileError(
                f"{self.folder} holds none of pretrain.py, finetune.py, search.py, ..."
            )
        return stages

    def seconds(self, stage: str) -> float | None:
        """How long a finished stage took; None for one that is not finished."""
        state = _read_state(self.work_dir / stage)
        return None if state is None else state["seconds"]


def check_experiment(experiment: Experiment, stages: Sequence[str] | None = None) -> dict[str, str]:
    """Check the data, budgets, keys and foreign inputs of stages, before any of them runs.

    Args:
        experiment: what is to run.
        stages: None takes all that it has.
    Returns:
        For each stage "finished" or "unfinished".
    Raises:
        FileNotFoundError, ValueError: what does not do, in one line.
    """
    known = experiment.stages()
    for stage in stages or known:
        if stage not in known:
            raise UserError(f"{experiment.folder} has no stage '{stage}'; it has {known}")
    _check_overrides(experiment, known)
    states = {}
    for stage in stages or known:
        config = experiment.config(stage)
        _check_foreign_inputs(experiment, stage, config)
        if stage == "search":
            history = Path(config.work_dir) / FILE_NAME
            plan_search(config, read_fingerprint(history) if history.is_file() else None)
        elif stage != "test":
            check_training(config)
        states[stage] = UNFINISHED if experiment.seconds(stage) is None else FINISHED
    return states


def _check_overrides(experiment: Experiment, stages: Sequence[str]) -> None:
    """Refuse an override that no stage knows; each takes those that it does."""
    overrides = experiment.overrides
    unknown = [set(unknown_options(experiment.file(stage), overrides)) for stage in stages]
    for option in set.intersection(*unknown):
        raise UserError(
            f"--cfg-options {option}: no stage of {experiment.folder} has such a key; see "
            "docs/configs.md"
        )


def run_experiment(
    experiment: Experiment, stages: Sequence[str] | None = None, quiet: bool = False
) -> dict[str, Any] | None:
    """Run every stage that is not finished, go on with one that was interrupted.

    Args:
        experiment: what to run.
        stages: None takes all that it has.
        quiet: short progress lines instead of mmengine's logs.
    Returns:
        What is also written to `summary.json` when all of its stages are finished, else None.
    Raises:
        FileNotFoundError, ValueError: as `check_experiment`; a stage begun under another config or
            from other inputs.
    """
    states = on_rank_0(lambda: check_experiment(experiment, stages))
    if states.get("search") == UNFINISHED and get_world_size() > 1:
        raise UserError(
            "stage 'search' runs in one process, which starts its workers: run it without "
            "--launcher, or use scripts/run_experiment.sh"
        )
    chosen = [s for s in experiment.stages() if stages is None or s in stages]
    for number, stage in enumerate(chosen, 1):
        _run_stage(experiment, stage, f"[{number}/{len(chosen)}] {stage}", quiet)
    seconds = {stage: experiment.seconds(stage) for stage in experiment.stages()}
    finished = {stage: taken for stage, taken in seconds.items() if taken is not None}
    if not is_main_process() or len(finished) < len(seconds):
        return None
    summary = summarise(experiment.work_dir, finished)
    write_text(experiment.work_dir / SUMMARY, json.dumps(summary, indent=2) + "\n")
    illustrate(experiment.work_dir, experiment.config("test") if "test" in seconds else None)
    return summary


def _run_stage(experiment: Experiment, stage: str, title: str, quiet: bool) -> None:
    config = experiment.config(stage)
    folder = Path(config.work_dir)
    inputs = _input_files(experiment, stage, config)
    for file in inputs.values():
        if not file.is_file():
            raise MissingFileError(
                f"{file}, which stage '{stage}' begins from, does not exist: run the stage that "
                "makes it first, or name another by --cfg-options"
            )
    state: dict[str, Any] = {
        "config_sha256": _config_digest(_without_what_may_change(config), experiment.work_dir),
        "inputs_sha256": {name: file_sha256(file) for name, file in inputs.items()},
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
                raise UserError(
                    f"{folder} was begun {what}: remove it to run the stage anew, or choose "
                    "another --work-dir"
                )
        if before["seconds"] is not None and not _has_grown(config, folder):
            _say(f"{title}: finished before, in {duration(before['seconds'])}")
            return
    _say(title)
    if before is None and is_main_process():
        write_text(folder / STAGE_FILE, json.dumps(state, indent=2) + "\n")
    began = time.monotonic()
    _work(experiment, stage, config, quiet)
    barrier()  # what the next stage begins from is there
    state["seconds"] = time.monotonic() - began
    if is_main_process():
        write_text(folder / STAGE_FILE, json.dumps(state, indent=2) + "\n")
    _say(f"{title}: {duration(state['seconds'])}")


def _say(line: str) -> None:
    if is_main_process():
        print(line, file=sys.stderr, flush=True)


def _work(experiment: Experiment, stage: str, config: "Config", quiet: bool) -> None:
    if stage == "search":
        search(config, resume=True, progress=print_progress)
    elif stage == "test":
        metrics = score_checkpoint(config, experiment.work_dir / "retrain" / FINAL_WEIGHTS)
        if is_main_process():
            write_text(Path(config.work_dir) / METRICS, json.dumps(metrics, indent=2) + "\n")
    else:
        if quiet:
            config.console_level = "ERROR"
            progress = {"type": "ProgressHook", "stage": stage}
            config.custom_hooks = [*config.get("custom_hooks", []), progress]
        train(config, resume=True, checked=True)


def _read_state(folder: Path) -> dict[str, Any] | None:
    path = folder / STAGE_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _without_what_may_change(config: "Config") -> dict[str, Any]:
    """A stage's config less what a search's history lets change, and watches over by itself."""
    what = config.to_dict()
    search = what.get("search")
    if search is not None:
        search.pop("executor", None)
        search.pop("random_baseline", None)
        search.get("strategy", {}).pop("generations", None)
        search.get("evaluator", {}).pop("cache_mb", None)
    return what


def _has_grown(config: "Config", folder: Path) -> bool:
    """Whether a finished search is to have more generations or a longer baseline."""
    history = folder / FILE_NAME
    if config.get("search") is None or not history.is_file():
        return False
    settings = SearchSettings.from_dict(config.search.to_dict())
    generations = read_fingerprint(history)["strategy"]["generations"]
    baseline = sum(row.role == RANDOM for row in read_history(history))
    return settings.strategy.generations > generations or settings.random_baseline > baseline


def _config_digest(config: Mapping[str, Any], experiment: Path) -> str:
    """Of what a stage does; where the experiment lies is left out, so that it may be moved."""
    what = {key: value for key, value in config.items() if key != "work_dir"}
    text = json.dumps(what, sort_keys=True, default=str)
    return hashlib.sha256(text.replace(str(experiment), "{experiment}").encode()).hexdigest()


def _input_files(experiment: Experiment, stage: str, config: "Config") -> dict[str, Path]:
    """Files of other stages, or of other experiments, that a stage begins from."""
    if stage == "search":
        files = {"supernet": config.search.supernet}
    elif stage == "test":
        files = {"weights": str(experiment.work_dir / "retrain" / FINAL_WEIGHTS)}
    else:
        backbone = config.model.backbone
        files = {
            "load_from": config.get("load_from"),
            "backbone": (backbone.get("init_cfg") or {}).get("checkpoint"),
        }
    architecture = config.model.backbone.get("architecture")
    if isinstance(architecture, str) and architecture.endswith(".json"):
        files["architecture"] = architecture
    return {
        name: Path(os.path.normpath(file))
        for name, file in files.items()
        if isinstance(file, str) and "://" not in file
    }


def _check_foreign_inputs(experiment: Experiment, stage: str, config: "Config") -> None:
    """Refuse a stage whose inputs no stage of this experiment makes, and that are not there."""
    work_dir = Path(os.path.normpath(experiment.work_dir))
    own = [work_dir / other for other in experiment.stages()]
    for file in _input_files(experiment, stage, config).values():
        if file.is_file() or any(file.is_relative_to(folder) for folder in own):
            continue
        raise MissingFileError(
            f"{file}, which stage '{stage}' begins from, does not exist: run the experiment that "
            "makes it first, or name another by --cfg-options"
        )
