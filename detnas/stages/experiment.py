"""An experiment: the stages of a folder of configs, run in order, finished ones skipped.

A folder holds `pretrain.py`, `finetune.py`, `search.py`, `pretrain_subnet.py` (one network on
classification), `retrain.py` (one network under a detector) and `compare.py` (networks to compare
it with), or some of them; the retrained network is tested. Each stage works in its own folder under
the experiment's; configs name the results of earlier stages as "{experiment}/pretrain/final.pth",
and those of another experiment as "{experiment}/../other/pretrain/final.pth".
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_world_size, is_main_process

from detnas.config import load_config, unknown_options
from detnas.console import print_trainings
from detnas.distributed import on_rank_0, one_writer
from detnas.errors import MissingFileError, Problems, UserError
from detnas.files import write_text
from detnas.report.folder import SUMMARY_FILE
from detnas.search.history.reading import SearchHistory
from detnas.search.results import BEST_FILE
from detnas.stages import retrain_top
from detnas.stages.base import ARCHITECTURE, Stage, require_shared_weights
from detnas.stages.compare import CompareStage
from detnas.stages.outlook import CheckedStage, read_forecast, relative_time_after
from detnas.stages.plan import plan_search
from detnas.stages.running import print_line, run_stage
from detnas.stages.search import SearchStage
from detnas.stages.state import (
    STAGE_FILE,
    check_config,
    read_state,
    write_state,
)
from detnas.stages.summary import illustrate, summarise, tested_detector
from detnas.stages.test import TestStage
from detnas.stages.train import TrainingStage
from search_space.architecture import Architecture, choices_to_text

STAGES: dict[str, type[Stage]] = {
    "pretrain": TrainingStage,
    "finetune": TrainingStage,
    "search": SearchStage,
    "pretrain_subnet": TrainingStage,
    "retrain": TrainingStage,
    "test": TestStage,
    "compare": CompareStage,
}
"""In the order in which they run. The config of "test" is that of "retrain"."""


@dataclass(frozen=True)
class Experiment:
    """An experiment's folder of configs, its work directory, and what overrides its configs."""

    folder: Path
    work_dir: Path
    overrides: Mapping[str, Any]
    seed: int | None = None

    def stage(self, name: str) -> Stage:
        """A stage with its resolved config."""
        work_dir = Path(os.path.normpath(self.work_dir)) / name
        config = load_config(self.file(name), self.overrides, work_dir, self.seed, strict=False)
        return STAGES[name](name, config, self.overrides)

    def file(self, name: str) -> Path:
        """The config file of a stage."""
        return self.folder / ("retrain.py" if name == "test" else f"{name}.py")

    def stages(self, chosen: Sequence[str] | None = None) -> list[str]:
        """The stages that the folder has configs for, or the chosen ones of them, in order.

        Raises:
            UserError: there are none, or the folder lacks a chosen one.
        """
        known = [name for name in STAGES if self.file(name).is_file()]
        if not known:
            raise MissingFileError(
                f"{self.folder} holds none of pretrain.py, finetune.py, search.py, ..."
            )
        for name in chosen or ():
            if name not in known:
                raise UserError(f"{self.folder} has no stage '{name}'; it has {known}")
        return [name for name in known if chosen is None or name in chosen]

    def seconds(self, name: str) -> float | None:
        """How long a finished stage took; None where it is not finished."""
        state = read_state(self.work_dir / name)
        return None if state is None else state["seconds"]


def check_experiment(
    experiment: Experiment, stages: Sequence[str] | None = None, retrained: int = 0
) -> dict[str, CheckedStage]:
    """Check data, budgets, keys and foreign inputs of stages before any of them runs.

    Args:
        experiment: what is to run.
        stages: None takes all of the folder's.
        retrained: as in `run_experiment`.
    Returns:
        The stages by name, in order.
    Raises:
        UserError: something invalid or a stage begun under another config, in one line;
            `SeveralErrors` of all of them where there are several.
    """
    names = experiment.stages(stages)
    _check_overrides(experiment)
    checked = {}
    # Two stages often have the same mistake, and say it with the name of their file.
    problems = Problems(*(str(experiment.file(name)) for name in names))
    seconds = read_forecast(experiment.folder)
    for name in names:
        with problems:
            macs = 0.0
            stage = experiment.stage(name)
            own = Problems()
            with own:
                _check_foreign_inputs(experiment, stage)
            with own:
                macs = stage.check()
            with own:
                check_config(stage)
            own.raise_found()
            is_unfinished = experiment.seconds(name) is None or stage.has_grown()
            checked[name] = CheckedStage(
                is_unfinished, macs, stage.is_classifier, seconds.get(name)
            )
    problems.raise_found()
    if retrained:
        _check_choice(experiment, names, retrained)
    return checked


def run_experiment(
    experiment: Experiment,
    stages: Sequence[str] | None = None,
    quiet: bool = False,
    retrained: int = 0,
) -> dict[str, Any] | None:
    """Run every stage that is not finished; resume one that was interrupted.

    Args:
        experiment: what to run.
        stages: None takes all of the folder's.
        quiet: short progress lines instead of mmengine's logs.
        retrained: train so many of the search's best candidates, and retrain the one that is best
            on the search split; 0 takes the search's best.
    Returns:
        The content of `summary.json` once all of its stages are finished, else None.
    Raises:
        UserError: as `check_experiment`, or a stage begun under another config or from other
            inputs, or another run writes into the work directory.
    """
    checked = on_rank_0(lambda: check_experiment(experiment, stages, retrained))
    with one_writer(experiment.work_dir, "run"):
        return _run_checked(experiment, checked, quiet, retrained)


def _run_checked(
    experiment: Experiment, checked: Mapping[str, CheckedStage], quiet: bool, retrained: int
) -> dict[str, Any] | None:
    if "search" in checked and checked["search"].is_unfinished and get_world_size() > 1:
        raise UserError(
            "stage 'search' runs in one process, which starts its workers: run it without "
            "--launcher, or use scripts/run_experiment.sh"
        )
    for number, name in enumerate(checked, 1):
        later = relative_time_after(checked, name, retrained)
        run_stage(experiment.stage(name), f"[{number}/{len(checked)}] {name}", quiet, later)
        if name == "search":
            if retrained:
                _choose_by_training(experiment, retrained)
            best = experiment.work_dir / "search" / BEST_FILE
            print_line(f"    best architecture: {Architecture.load(best).key}, in {best}")
    seconds = {name: experiment.seconds(name) for name in experiment.stages()}
    chosen_in = experiment.seconds(retrain_top.FOLDER)
    if chosen_in is not None:
        seconds[retrain_top.FOLDER] = chosen_in
    finished = {name: taken for name, taken in seconds.items() if taken is not None}
    missing = {*seconds} - {*finished, "compare"}  # the found network's results do not wait for it
    if not is_main_process() or missing:
        return None
    test = experiment.stage("test") if "test" in seconds else None
    detector = tested_detector(experiment.work_dir, test)
    summary = summarise(experiment.work_dir, finished, detector)
    write_text(experiment.work_dir / SUMMARY_FILE, json.dumps(summary, indent=2) + "\n")
    illustrate(experiment.work_dir, detector)
    return summary


def _check_choice(experiment: Experiment, stages: Sequence[str], retrained: int) -> None:
    if retrained < 2:
        raise UserError(f"--retrain-top is {retrained}; it must be at least 2, or be left out")
    if get_world_size() > 1:
        raise UserError("--retrain-top trains in workers of its own: run it without --launcher")
    if "search" not in stages or not experiment.file("retrain").is_file():
        raise UserError(
            "--retrain-top needs the stage 'search' and the folder's retrain.py: it trains the "
            "best candidates of the search"
        )
    _recipe_for_choosing(experiment)
    search_dir, retrain = experiment.work_dir / "search", experiment.stage("retrain")
    best = search_dir / BEST_FILE
    require_shared_weights(retrain)
    if retrain.inputs().get(ARCHITECTURE) != Path(os.path.normpath(best)):
        raise UserError(
            f"--retrain-top chooses {best}, but retrain.py names another `architecture`: leave it "
            "out there"
        )
    begun = _begun_from_best(experiment)
    if begun and not retrain_top.is_chosen(retrained, search_dir):
        raise UserError(
            f"--retrain-top {retrained} may choose another architecture than {begun[0]} was begun "
            f"with: move {' and '.join(map(str, begun))} away first, or choose another --work-dir"
        )


def _begun_from_best(experiment: Experiment) -> list[Path]:
    """The folders of begun stages that start from the search's best architecture."""
    best = Path(os.path.normpath(experiment.work_dir / "search" / BEST_FILE))
    begun = []
    for name in experiment.stages():
        stage = experiment.stage(name)
        if stage.inputs().get(ARCHITECTURE) == best and (stage.work_dir / STAGE_FILE).is_file():
            begun.append(stage.work_dir)
    return begun


def _recipe_for_choosing(experiment: Experiment) -> Config:
    alone = replace(experiment, overrides={**experiment.overrides, "train_split": "train"})
    return retrain_top.recipe_for_choosing(
        alone.stage("retrain").config, experiment.stage("search").config
    )


def _choose_by_training(experiment: Experiment, retrained: int) -> None:
    stage = experiment.stage("search")
    if _begun_from_best(experiment):  # and `_check_choice` has seen that it was chosen so
        return
    began, spent = time.monotonic(), experiment.seconds(retrain_top.FOLDER) or 0.0
    history = SearchHistory.read(stage.work_dir)
    plan = plan_search(stage.config, history.fingerprint)
    recipe = _recipe_for_choosing(experiment)
    found = retrain_top.retrain_top(
        *(retrained, plan, recipe, stage.work_dir), print_trainings("retrain-top")
    )
    seconds = spent + time.monotonic() - began
    folder = experiment.work_dir / retrain_top.FOLDER
    write_state(folder, {"config_sha256": "", "inputs_sha256": {}, "seconds": seconds})
    chosen = Architecture.load(stage.work_dir / BEST_FILE).key
    print_line(
        f"chosen by {found.metric} on the search split, of {found.count} networks trained without "
        f"it: {chosen}"
    )
    for failed in found.candidates[found.count :]:
        print_line(f"    failed  {choices_to_text(failed.choices)}  {failed.error}")


def _check_overrides(experiment: Experiment) -> None:
    """Refuse an override that no stage knows; each stage takes those that it knows."""
    overrides = experiment.overrides
    files = [experiment.file(name) for name in experiment.stages()]
    unknown = [set(unknown_options(file, overrides)) for file in files]
    for option in set.intersection(*unknown):
        raise UserError(
            f"--cfg-options {option}: no stage of {experiment.folder} has such a key; see "
            "docs/configs.md"
        )


def _check_foreign_inputs(experiment: Experiment, stage: Stage) -> None:
    """Refuse a stage with an absent input that no stage of this experiment makes."""
    own = [stage.work_dir.parent / name for name in experiment.stages()]
    for file in stage.inputs().values():
        if file.is_file() or any(file.is_relative_to(folder) for folder in own):
            continue
        raise MissingFileError(
            f"{file}, which stage '{stage.name}' starts from, does not exist: run the experiment "
            "that makes it first, or name another, or None, by --cfg-options"
        )
