"""Scores and measures the networks of a comparison, and puts them side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device

from detnas.console import CLASS_SUFFIX
from detnas.evaluation.bootstrap import RESAMPLES, recorded_coco_evaluations, resampled_scores
from detnas.evaluation.complexity import detector_macs
from detnas.evaluation.detector_costs import (
    Tested,
    backbone_macs,
    detector_latencies,
    parameters,
)
from detnas.evaluation.evaluator import load_tested
from detnas.evaluation.latency import device_name
from detnas.search.compared import FOUND, ComparedNetwork, Comparison, Measured, Scored
from detnas.search.finalists import RESAMPLE_KEY
from detnas.stages.compare.plan import ComparePlan, PlannedNetwork
from detnas.stages.test import score_checkpoint
from search_space.cost import DEFAULT_INPUT_SIZE

SIZES = {"s": "small", "m": "medium", "l": "large"}


@dataclass(frozen=True)
class TestResult:
    """What a network scores on the test split, by which metric."""

    metric: str
    scored: Scored
    by_class: dict[str, float]
    by_size: dict[str, float]


def score_network(config: Config, weights: Path, score: str | None) -> TestResult:
    """Score a network on the test split, and on resampled sets of its images.

    Processes of `detnas.distributed`'s group share the images; the first one has the resampled
    scores.

    Args:
        config: resolved.
        weights: of its model.
        score: name of the metric; None takes the first one.
    """
    with recorded_coco_evaluations() as evaluations:
        metrics = score_checkpoint(config, weights)
    metric = score if score is not None and score in metrics else next(iter(metrics))
    resampled = resampled_scores(evaluations, metrics, metric)
    sets = [resampled[f"{RESAMPLE_KEY}{number}"] for number in range(RESAMPLES if resampled else 0)]
    by_class = {
        name.partition("/")[2].removesuffix(CLASS_SUFFIX): value
        for name, value in metrics.items()
        if name.endswith(CLASS_SUFFIX)
    }
    by_size = {
        size: metrics[f"{metric}_{letter}"]
        for letter, size in SIZES.items()
        if metrics.get(f"{metric}_{letter}", -1.0) >= 0  # -1: no such object
    }
    return TestResult(metric, Scored(metrics[metric], sets), by_class, by_size)


def compare_networks(
    plan: ComparePlan,
    networks: Sequence[PlannedNetwork],
    weights: Sequence[Path],
    scored: Sequence[TestResult],
    same: Sequence[str],
    notes: Sequence[str],
) -> Comparison:
    """Measure networks on this machine, and compare their scores with those of the first one.

    Args:
        plan: of the comparison.
        networks: the found one first.
        weights: the checkpoint of each.
        scored: the scores of each.
        same: names of asked networks that are the found one.
        notes: remarks, one line each.
    """
    detectors = [
        load_tested(each.config, file) for each, file in zip(networks, weights, strict=True)
    ]
    first = scored[0]
    resamples = min(len(each.scored.resampled) for each in scored)
    if not resamples:
        reason = (
            f"{first.metric} is not resampled, only the box or mask AP of COCO metrics is: there "
            "are no intervals, so no difference can be shown"
        )
        notes = [*notes, reason]
    size = _backbone_size(plan)
    rows = []
    costs = _measured(detectors, size)
    for network, result, measured in zip(networks, scored, costs, strict=True):
        difference, interval = first.scored.difference_to(result.scored)
        rows.append(
            ComparedNetwork(
                name=network.name,
                label=network.label,
                choices=network.choices,
                is_within_budget=plan.is_within_budget(network.choices),
                score=result.scored.score,
                interval=result.scored.interval,
                difference=difference,
                difference_interval=None if network.name == FOUND else interval,
                by_class=result.by_class,
                by_size=result.by_size,
                measured=measured,
            )
        )
    return Comparison(
        metric=first.metric,
        greater_is_better=plan.search is None or plan.search.greater_is_better,
        images=len(detectors[0][1]),
        resamples=resamples,
        backbone_size=size,
        device=device_name(torch.device(get_device())),
        threads=torch.get_num_threads(),
        networks=tuple(rows),
        same_as_found=tuple(same),
        notes=tuple(notes),
    )


def _backbone_size(plan: ComparePlan) -> tuple[int, int]:
    """Height and width at which the budget counts multiply-adds."""
    budgets = () if plan.search is None else plan.search.sampler.budgets
    sizes = [budget.input_size for budget in budgets if budget.cost == "macs"]
    _, height, width = sizes[0] if sizes else DEFAULT_INPUT_SIZE
    return height, width


def _measured(detectors: Sequence[Tested], size: tuple[int, int]) -> list[Measured]:
    latencies = detector_latencies(detectors)
    found = []
    for detector, latency in zip(detectors, latencies, strict=True):
        model = detector[0]
        count, detector_size = detector_macs(*detector)
        found.append(
            Measured(
                backbone_macs=backbone_macs(model, size),
                detector_macs=count,
                detector_size=detector_size,
                backbone_params=parameters(model.backbone),
                detector_params=parameters(model),
                latency_ms=latency,
            )
        )
    return found
