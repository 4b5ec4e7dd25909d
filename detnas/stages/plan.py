"""A search's config, checked and turned into what the search loop needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import torch
from mmengine.config import Config
from msgspec import structs

from detnas.console import say_once
from detnas.data.checks import sizes_digest
from detnas.errors import Problems, UserError, user_input
from detnas.evaluation.devices import is_tf32_allowed, scoring_device
from detnas.evaluation.settings import EvaluatorSettings
from detnas.search.costs import CandidateCosts, read_latency_tables, size_latency_budgets
from detnas.search.history.fingerprint import recorded_value
from detnas.search.racing import Race
from detnas.search.strategies import Strategy
from detnas.search.warm_start import read_start
from detnas.stages.checks import (
    backbone_kind,
    check_parts,
    check_values,
)
from detnas.stages.hashes import SPLITS, input_hashes, model_hashes
from detnas.stages.settings import SearchSettings
from search_space.architecture import choices_from_text, choices_to_text
from search_space.budget import readable
from search_space.sampling import BudgetSampler
from search_space.spaces import parse_space


@dataclass(frozen=True)
class SearchPlan:
    """What a search's config asks for. Everything but the supernet's checkpoint is checked.

    Attributes:
        config: the resolved config.
        settings: its section `search`; the evaluator's threads and shapes of batches are decided.
        costs: a candidate's costs by name; its sampler draws inside the budgets.
        start: the choices that the first generation begins with, as texts.
        strategy: new, nothing told to it yet.
        images: a digest of the image files of each split.
        candidate_macs: multiply-adds to score one candidate, about; 0 if not known.
    """

    config: Config
    settings: SearchSettings
    costs: CandidateCosts
    start: tuple[str, ...]
    strategy: Strategy
    images: Mapping[str, str]
    candidate_macs: float

    @property
    def seed(self) -> int:
        """Of proposals and calibration images."""
        return int(self.config.randomness["seed"])

    @property
    def race(self) -> Race | None:
        """The test by which candidates are dropped; None scores all in full."""
        settings = self.settings
        if settings.racing is None:
            return None
        parents = settings.racing_strategy.parents
        return Race(settings.racing, settings.score, parents, settings.greater_is_better)

    @cached_property
    def hashes(self) -> Mapping[str, Any]:
        """Hashes of the files that the config names.

        Raises:
            UserError: the supernet's checkpoint is absent.
        """
        return input_hashes(self.config, self.settings.supernet)

    @cached_property
    def fingerprint(self) -> Mapping[str, Any]:
        """All that alters scores or proposals, as the history records it; errors as `hashes`."""
        sampler = self.costs.sampler
        fingerprint = {
            **self.settings.fingerprint(),
            "budgets": msgspec.to_builtins(sampler.budgets),
            "space": sampler.space.to_dict(),
            "channel_shuffle": self.config.model.backbone.get("channel_shuffle", "even_odd"),
            "seed": self.seed,
            **self.hashes,
            "images": self.images,
            **model_hashes(self.config),
        }
        if self.costs.measured:
            fingerprint["measured_costs"] = self.costs.measured_under
        if self.start:
            fingerprint["start"] = {"from": self.settings.start_from, "choices": self.start}
        return fingerprint


def plan_search(config: Config, recorded: Mapping[str, Any] | None = None) -> SearchPlan:
    """Check a search's config before its supernet exists.

    Args:
        config: from `detnas.config.load_config`.
        recorded: the fingerprint of the history that is to be continued. Its threads, its shapes of
            batches and its start are kept, even where the earlier searches that gave the start
            have changed since.

    Raises:
        UserError: an unknown key, an infeasible budget, invalid data, splits or cost tables.
    """
    recorded = recorded or {}
    _require_sections(config)
    check_values(config)
    settings = SearchSettings.from_section(config.to_dict()["search"])
    evaluator = _decided(settings.evaluator, recorded)
    settings = structs.replace(settings, evaluator=evaluator)
    problems = Problems()
    with problems, user_input():
        space = parse_space(config.model.backbone.get("space", "small"))
        measured = read_latency_tables(settings.cost_tables, space)
        budgets = size_latency_budgets(settings.budgets, measured)
        sampler = BudgetSampler(space, budgets, [table.costs for table in measured])
        _note_idle_budgets(sampler)
        _note_lost_finalists(settings)
        costs = CandidateCosts(sampler, measured)
        start = _start(settings, sampler, recorded)
        strategy = settings.strategy.build(
            sampler, costs, config.randomness["seed"], list(map(choices_from_text, start))
        )
    with problems:
        parts = check_parts(config, {**SPLITS, "test_dataloader": "test"}, "val_evaluator")
    problems.raise_found()
    images = {split.name: sizes_digest(split) for split in parts.splits if split.name != "test"}
    scored = {"train_dataloader": evaluator.calibration_images}
    scored["val_dataloader"] = parts.images(SPLITS["val_dataloader"])
    macs = sum(count * parts.image_macs.get(key, 0.0) for key, count in scored.items())
    return SearchPlan(config, settings, costs, start, strategy, images, macs)


def _note_idle_budgets(sampler: BudgetSampler) -> None:
    """Say which budgets exclude no architecture."""
    for budget, table in zip(sampler.budgets, sampler.cost_tables, strict=True):
        if budget.contains(table.min) and budget.contains(table.max):
            say_once(
                f"search.budgets: {budget} excludes nothing: the networks of the space "
                f"{sampler.space.name!r} have {readable(table.min)} to {readable(table.max)}"
            )


def _note_lost_finalists(settings: SearchSettings) -> None:
    """Say where racing may have dropped what finalists are chosen from."""
    if settings.racing is None:
        return
    parents = settings.racing_strategy.parents
    if settings.finalists > parents:
        say_once(
            f"search.finalists: {settings.finalists} are more than search.strategy.parents "
            f"({parents}): racing may drop candidates of lower ranks than the parents'"
        )


def _decided(evaluator: EvaluatorSettings, recorded: Mapping[str, Any]) -> EvaluatorSettings:
    """The settings without None: as recorded, or the defaults of a new search."""
    defaults = {
        "threads": torch.get_num_threads(),
        "batch_shapes": "equal",
        "device": scoring_device(),
        "tf32": is_tf32_allowed(),
        "fold_batch_norm": evaluator.dtype == "float32",
    }
    values = {}
    for key, default in defaults.items():
        if getattr(evaluator, key) is None:
            before = recorded_value(recorded, f"evaluator.{key}") if recorded else None
            values[key] = default if before is None else before
    return structs.replace(evaluator, **values)


def _require_sections(config: Config) -> None:
    if config.get("search") is None:
        raise UserError("the config has no `search` section, so it is not the config of a search")
    if backbone_kind(config) != "DetNASSupernet":
        raise UserError(
            "a search needs model.backbone.type 'DetNASSupernet', not "
            f"{config.model.backbone.get('type')!r}"
        )
    for key in ("train_dataloader", "val_dataloader", "val_evaluator"):
        if config.get(key) is None:
            raise UserError(
                f"the config has no `{key}`: a search recalibrates on train_dataloader and scores "
                "val_dataloader by val_evaluator"
            )


def _start(
    settings: SearchSettings, sampler: BudgetSampler, recorded: Mapping[str, Any]
) -> tuple[str, ...]:
    before = recorded.get("start")
    if before is not None and before["from"] == list(settings.start_from):
        return tuple(before["choices"])
    try:
        start = read_start(settings.start_from, sampler, settings.strategy.population)
    except UserError as error:
        raise UserError(f"search.start_from: {error}") from error
    return tuple(map(choices_to_text, start))
