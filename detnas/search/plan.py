"""A search's config checked and turned into what the loop needs, before anything is begun."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from mmengine.config import Config

from detnas.data.checks import sizes_digest
from detnas.errors import UserError
from detnas.preflight import backbone_kind, check_splits, check_weights
from detnas.search.costs import candidate_costs, named_costs
from detnas.search.history.records import choices_from_text, choices_to_text
from detnas.search.inputs import SPLITS, input_hashes, model_hashes
from detnas.search.measured import MeasuredCosts, read_measured
from detnas.search.settings import SearchSettings
from detnas.search.start import read_start
from detnas.search.strategies import Costs, Strategy
from search_space.sampling import BudgetSampler
from search_space.spaces import get_space


@dataclass(frozen=True)
class Plan:
    """What a search's config asks for, checked as far as it can be without the supernet.

    Attributes:
        settings: the section `search`.
        sampler: draws inside the budgets.
        measured: the costs that were measured.
        start: what the first generation begins with, as texts.
        costs: of a candidate.
        strategy: new.
        images: a digest of each split's image files.
    """

    settings: SearchSettings
    sampler: BudgetSampler
    measured: MeasuredCosts
    start: Sequence[str]
    costs: Costs
    strategy: Strategy
    images: Mapping[str, str]


def plan_search(config: Config, recorded: Mapping[str, Any] | None = None) -> Plan:
    """Check what can be checked of a search before its supernet is there.

    Args:
        config: from `detnas.config.load_config`.
        recorded: the fingerprint of the history that is to be continued; what its first generation
            began with stands, even where the earlier searches that gave it have gone on or away.
    Raises:
        FileNotFoundError, ValueError: an unknown key, an infeasible budget, data, splits or cost
            tables that do not do.
    """
    if config.get("search") is None:
        raise UserError("the config has no `search` section: it is no config of a search")
    settings = SearchSettings.from_dict(config.search.to_dict())
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
    space = get_space(config.model.backbone.get("space", "small"))
    measured = read_measured(settings.cost_tables, space)
    sampler = BudgetSampler(space, measured.sized(settings.budgets), measured.costs)
    costs = candidate_costs(sampler, measured.costs)
    start = _start(settings, sampler, recorded)
    strategy = settings.strategy.build(
        sampler, costs, config.randomness["seed"], list(map(choices_from_text, start))
    )
    splits = check_splits(config, {**SPLITS, "test_dataloader": "test"})
    images = {split.name: sizes_digest(split) for split in splits if split.name != "test"}
    return Plan(settings, sampler, measured, start, costs, strategy, images)


def _start(
    settings: SearchSettings, sampler: BudgetSampler, recorded: Mapping[str, Any] | None
) -> list[str]:
    if not settings.start_from:
        return []
    before = (recorded or {}).get("start")
    if before is not None and before["from"] == list(settings.start_from):
        return list(before["choices"])
    try:
        start = read_start(settings.start_from, sampler, settings.strategy.population)
    except ValueError as error:
        raise UserError(f"search.start_from: {error}") from error
    return list(map(choices_to_text, start))


@dataclass(frozen=True)
class Prepared:
    """A search that has passed every check and has not begun.

    Attributes:
        plan: its settings have the evaluator's threads decided.
        hashes: of the files that the config names.
        fingerprint: all that alters scores or proposals.
    """

    plan: Plan
    hashes: Mapping[str, Any]
    fingerprint: Mapping[str, Any]


def prepare(config: Config, recorded: Mapping[str, Any] | None = None) -> Prepared:
    """Check everything that a search needs, without building the detector.

    Raises:
        FileNotFoundError, ValueError: as `plan_search`, or a checkpoint that is absent or of
            another space or shuffle.
    """
    plan = plan_search(config, recorded)
    settings = plan.settings
    check_weights(config, settings.supernet)
    if settings.evaluator.threads is None:
        before = (recorded or {}).get("evaluator", {}).get("threads")
        evaluator = replace(settings.evaluator, threads=before or torch.get_num_threads())
        settings = replace(settings, evaluator=evaluator)
    hashes = input_hashes(config, settings.supernet)
    fingerprint = {
        **settings.fingerprint(),
        "budgets": [asdict(budget) for budget in plan.sampler.budgets],
        "space": plan.sampler.space.to_dict(),
        "channel_shuffle": config.model.backbone.get("channel_shuffle", "even_odd"),
        "seed": config.randomness["seed"],
        **hashes,
        "images": plan.images,
        **model_hashes(config),
        **_of_measured_costs(plan),
        **_of_start(plan),
    }
    return Prepared(replace(plan, settings=settings), hashes, fingerprint)


def _of_measured_costs(plan: Plan) -> dict[str, Any]:
    if not plan.measured.tables:
        return {}
    named = named_costs(plan.sampler, plan.measured.costs)
    return {"measured_costs": plan.measured.conditions(named)}


def _of_start(plan: Plan) -> dict[str, Any]:
    if not plan.start:
        return {}
    return {"start": {"from": plan.settings.start_from, "choices": plan.start}}
