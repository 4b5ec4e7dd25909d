"""An experiment: the stages of a configs folder in order, skipping what is finished.

A folder holds `pretrain.py`, `finetune.py`, `search.py` and `retrain.py`, or some of them; the
retrained network is tested. Each stage works in its own folder under the experiment's; configs
name the results of earlier stages as "{experiment}/pretrain/final.pth" and the like.
"""

import hashlib
import json
import shutil
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from detnas.config import load_config
from detnas.console import duration, print_progress
from detnas.evaluation.predict import predict
from detnas.evaluation.testing import score_checkpoint
from detnas.files import write_text
from detnas.pictures import draw_detection_picture, draw_search_pictures
from detnas.report.page import write_report
from detnas.search.history import FILE_NAME
from detnas.search.records import RANDOM, best_of, read_fingerprint, read_history
from detnas.search.stage import search
from detnas.training.hooks import FINAL_WEIGHTS
from detnas.training.train import train
from search_space.architecture import Architecture
from search_space.cost import macs, params

STAGES = ("pretrain", "finetune", "search", "retrain", "test")
CONFIG_OF_STAGE = {stage: f"{stage}.py" for stage in STAGES} | {"test": "retrain.py"}
FINISHED = "finished.json"
SUMMARY = "summary.json"


@dataclass(frozen=True)
class Experiment:
    """Where an experiment's configs are, where it works, and what overrides its configs."""

    folder: Path
    work_dir: Path
    overrides: Mapping[str, Any]
    seed: int | None
    quiet: bool

    def config(self, stage: str) -> Config:
        """The resolved config of a stage."""
        config = load_config(
            self.folder / CONFIG_OF_STAGE[stage],
            self.overrides,
            self.work_dir / stage,
            self.seed,
        )
        if self.quiet and stage not in ("search", "test"):
            config.console_level = "ERROR"
            config.custom_hooks = [
                *config.get("custom_hooks", []),
                {"type": "ProgressHook", "stage": stage},
            ]
        return config

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
        FileNotFoundError, ValueError: a folder without configs, or whatever a stage refuses.
    """
    experiment = Experiment(folder, work_dir, overrides, seed, quiet)
    stages = experiment.stages()
    if not stages:
        raise FileNotFoundError(f"{folder} holds none of pretrain.py, finetune.py, search.py, ...")
    for number, stage in enumerate(stages, 1):
        _run_stage(experiment, stage, f"[{number}/{len(stages)}] {stage}")
    summary = summarise(experiment)
    write_text(work_dir / SUMMARY, json.dumps(summary, indent=2) + "\n")
    _illustrate(experiment, stages)
    return summary


def _illustrate(experiment: Experiment, stages: list[str]) -> None:
    folder = experiment.work_dir
    if "test" in stages:
        predictions, classes = predict(
            experiment.config("test"), folder / "retrain" / FINAL_WEIGHTS, images=8
        )
        draw_detection_picture(predictions, classes, folder)
    if "search" in stages:
        shutil.copy(folder / "search" / "best_architecture.json", folder)
        draw_search_pictures(folder / "search", folder)
        write_report(folder)


def _run_stage(experiment: Experiment, stage: str, title: str) -> None:
    config = experiment.config(stage)
    marker = Path(config.work_dir) / FINISHED
    digest = _digest(config)
    if marker.is_file():
        finished = json.loads(marker.read_text(encoding="utf-8"))
        if finished["config_sha256"] != digest:
            raise ValueError(
                f"{marker.parent} was finished under another config: remove it to run the stage "
                "anew, or choose another --work-dir"
            )
        print(f"{title}: finished before, in {duration(finished['seconds'])}", file=sys.stderr)
        return
    print(title, file=sys.stderr, flush=True)
    began = time.monotonic()
    if stage == "search":
        search(config, resume=True, progress=print_progress)
    elif stage == "test":
        metrics = score_checkpoint(config, experiment.work_dir / "retrain" / FINAL_WEIGHTS)
        write_text(Path(config.work_dir) / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    else:
        train(config, resume=True)
    seconds = time.monotonic() - began
    write_text(marker, json.dumps({"config_sha256": digest, "seconds": seconds}) + "\n")
    print(f"{title}: {duration(seconds)}", file=sys.stderr, flush=True)


def _digest(config: Config) -> str:
    """Of what a stage does; where it writes is left out, so that a finished one may be moved."""
    what = {key: value for key, value in config.to_dict().items() if key != "work_dir"}
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()


def summarise(experiment: Experiment) -> dict[str, Any]:
    """The outcome of the stages that there are, as JSON values.

    Times are those of the process that finished a stage.
    """
    stages = experiment.stages()
    seconds = {
        stage: json.loads((experiment.work_dir / stage / FINISHED).read_text())["seconds"]
        for stage in stages
    }
    summary: dict[str, Any] = {"seconds": sum(seconds.values()), "stage_seconds": seconds}
    if "search" in stages:
        summary |= _search_summary(experiment)
    if "test" in stages:
        metrics = json.loads((experiment.work_dir / "test" / "metrics.json").read_text())
        summary["test_metrics"] = metrics
        if "coco/bbox_mAP" in metrics:
            summary["retrained_bbox_mAP"] = metrics["coco/bbox_mAP"]
    return summary


def _search_summary(experiment: Experiment) -> dict[str, Any]:
    folder = experiment.work_dir / "search"
    architecture = Architecture.load(folder / "best_architecture.json")
    fingerprint = read_fingerprint(folder / FILE_NAME)
    rows = read_history(folder / FILE_NAME)
    best = best_of(rows, fingerprint["greater_is_better"])
    assert best is not None
    random_scores = [r.score for r in rows if r.role == RANDOM and r.score is not None]
    budget = next((b["upper"] for b in fingerprint["budgets"] if b["cost"] == "macs"), None)
    return {
        "best_choices": list(architecture.choices),
        "best_macs": macs(architecture),
        "best_params": params(architecture),
        "budget_macs": budget,
        "score": fingerprint["score"],
        "search_score": best.score,
        "random_mean_score": statistics.fmean(random_scores) if random_scores else None,
        "random_best_score": max(random_scores) if random_scores else None,
        "random_evaluations": len(random_scores),
        "evaluations": len([row for row in rows if row.role != RANDOM]),
    }
