"""The stage `compare`: other networks trained by the found network's recipe, and scored beside it.

Each network trains in a folder of its own with a `stage.json`: a finished one is never trained
again, also when the config asks for more of them later.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process

from detnas.errors import UserError
from detnas.search.compared import COMPARISON_FILE, FOUND, read_comparison
from detnas.stages import identity
from detnas.stages.base import require_shared_weights
from detnas.stages.checks import check_pretrained
from detnas.stages.checks.stock import check_stock
from detnas.stages.compare.plan import ComparePlan, PlannedNetwork, read_plan
from detnas.stages.compare.scores import compare_networks, score_network
from detnas.stages.running import print_line, run_stage
from detnas.stages.state import check_config
from detnas.stages.test import TestStage
from detnas.stages.train import TrainingStage, check_training
from detnas.training.hooks import FINAL_WEIGHTS


@dataclass(frozen=True)
class NetworkTraining(TrainingStage):
    """The training of one network of the comparison."""

    @property
    def experiment_dir(self) -> Path:
        return self.work_dir.parent.parent


@dataclass(frozen=True)
class CompareStage(TrainingStage):
    """The comparison of the retrained network with others."""

    reads = (*TrainingStage.reads, *TestStage.reads)

    @cached_property
    def plan(self) -> ComparePlan:
        """What is compared, from configs alone."""
        return read_plan(self.config, self.overrides, self.experiment_dir)

    @property
    def weights(self) -> Path:
        """Of the found network."""
        return self.experiment_dir / "retrain" / FINAL_WEIGHTS

    def check(self) -> float:
        plan = self.plan
        if self.is_classifier:
            raise UserError(f"{self.config.filename}: `compare` is for detectors: remove the file")
        self._check_recipe(plan.recipe)
        macs = 0.0
        example = plan.example()
        if example is not None:
            require_shared_weights(TrainingStage("retrain", plan.recipe))
            macs += len(plan.settings.networks) * check_training(example)
        for config in plan.stock.values():
            check_stock(config, plan.recipe)
            macs += check_training(config)
            if all(file.is_file() for file in TrainingStage("stock", config).inputs().values()):
                check_pretrained(config)
        found = plan.found
        for network in [] if found is None else plan.networks(found):
            check_config(_training_of(network))
        return macs

    def _check_recipe(self, recipe: Config) -> None:
        """Refuse a `compare.py` that would train in another way than retraining."""
        for key in ("test_dataloader", "test_evaluator"):
            if recipe.get(key) is None:
                raise UserError(f"{recipe.filename} has no `{key}`: `compare` scores on it; add it")
        ours, theirs = (
            identity.plain(config.to_dict(), self.experiment_dir)
            for config in (self.config, recipe)
        )
        ours.pop("compare", None)
        for line in identity.what_differs(theirs, ours, self.reads):
            raise UserError(
                f"{self.config.filename} sets another value than retrain.py, {line}: leave it out, "
                "as networks are compared by the recipe of retraining"
            )

    def named_inputs(self) -> Mapping[str, Any]:
        files = {**super().named_inputs(), "weights": str(self.weights)}
        for name, config in self.plan.stock.items():
            stock = TrainingStage(name, config)
            files |= {f"{name}, {key}": value for key, value in stock.named_inputs().items()}
        return files

    def input_hashes(self) -> dict[str, str]:
        """Those of the found network alone: each other training has its own in its folder."""
        stock = tuple(f"{name}, " for name in self.plan.stock)
        hashes = super().input_hashes()
        return {key: value for key, value in hashes.items() if not key.startswith(stock)}

    def identity(self) -> dict[str, Any]:
        """Without the list of networks, which may grow."""
        return {key: value for key, value in super().identity().items() if key != "compare"}

    def has_grown(self) -> bool:
        known = read_comparison(self.work_dir)
        return known is None or not set(self.plan.names) <= known.names

    def run(self, quiet: bool, later: float | None = None) -> None:
        found = self.plan.found
        assert found is not None, "it is an input"
        asked = self.plan.networks(found)
        networks = [each for each in asked if each.choices != found.choices]
        same = [each for each in asked if each.choices == found.choices]
        trainings = [_training_of(each) for each in networks]
        for training in trainings:
            check_config(training)
        for number, training in enumerate(trainings, 1):
            after = len(trainings) - number
            whole = None if later is None else after + later * len(trainings)
            title = f"    {training.name} [{number}/{len(trainings)}]"
            run_stage(training, title, quiet, whole)
        notes = [f"{each.label} is the found network, and was not trained again" for each in same]
        if self.plan.stock and self.plan.recipe.get("load_from"):
            notes.append(
                "networks of the space begin from `load_from`, weights of a whole detector; stock "
                "backbones begin without: the difference to them is not of the backbone alone"
            )
        for note in notes:
            print_line(f"    {note}")
        first = PlannedNetwork(FOUND, "the found network", self.plan.recipe, found.choices)
        weights = [self.weights, *(each.work_dir / FINAL_WEIGHTS for each in trainings)]
        scored = [
            score_network(each.config, file, self._score_name)
            for each, file in zip([first, *networks], weights, strict=True)
        ]
        if is_main_process():
            names = [each.name for each in same]
            compared = compare_networks(
                self.plan, [first, *networks], weights, scored, names, notes
            )
            compared.save(self.work_dir / COMPARISON_FILE)

    @property
    def _score_name(self) -> str | None:
        search = self.plan.search
        return self.config.get("score") if search is None else search.score


def _training_of(network: PlannedNetwork) -> NetworkTraining:
    return NetworkTraining(f"compare {network.name}", network.config)
