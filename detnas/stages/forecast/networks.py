"""What networks within a search's budgets cost: the smallest, the median and the largest."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.device import get_device
from mmengine.registry import DATASETS

from detnas.config import unwrap_dataset
from detnas.evaluation.complexity import detector_macs
from detnas.evaluation.detector_costs import detector_latencies, parameters
from detnas.evaluation.evaluator import build_random_model, quiet_logger, quiet_stdout
from detnas.stages.plan import SearchPlan
from search_space.architecture import Choices
from search_space.cost import DEFAULT_INPUT_SIZE, macs_table, params_table

DRAWS = 1000
LATENCY_ROUNDS = 5


@dataclass(frozen=True)
class NetworkCosts:
    """Of one network of the space, under the detector.

    Attributes:
        what: such as "smallest".
        macs: multiply-adds of the backbone at the budget's input size.
        detector_macs: of the whole detector at `size`, (height, width) in pixels.
        params: parameters of backbone, and of the detector.
        latency_ms: from the scaled image to its detections, on the device here.
    """

    what: str
    macs: int
    detector_macs: int
    size: tuple[int, int]
    params: tuple[int, int]
    latency_ms: float


def network_costs(plan: SearchPlan) -> Iterator[NetworkCosts]:
    """The networks of the fewest, the median and the most multiply-adds of `DRAWS` random ones.

    Args:
        plan: of a search under a detector; it need not have a supernet yet.
    """
    sampler = plan.costs.sampler
    budgets = [budget for budget in sampler.budgets if budget.cost == "macs"]
    size = budgets[0].input_size if budgets else DEFAULT_INPUT_SIZE
    table = macs_table(sampler.space, size)
    drawn = sampler.sample(np.random.default_rng(plan.seed), DRAWS).tolist()
    ordered = sorted(map(tuple, drawn), key=table.of)
    picked = {"smallest": ordered[0], "median": ordered[len(ordered) // 2]}
    picked["largest"] = ordered[-1]
    with quiet_stdout():
        quiet_logger()
        dataset = DATASETS.build(unwrap_dataset(plan.config.val_dataloader["dataset"])[0])
        detectors = [(_detector(plan, path), dataset) for path in picked.values()]
        latencies = detector_latencies(detectors, LATENCY_ROUNDS, 1)
    params = params_table(sampler.space)
    for (what, path), detector, latency in zip(picked.items(), detectors, latencies, strict=True):
        count, of_images = detector_macs(*detector)
        whole = parameters(detector[0])
        yield NetworkCosts(
            what, int(table.of(path)), count, of_images, (int(params.of(path)), whole), latency
        )


def _detector(plan: SearchPlan, path: Choices) -> Any:
    """The detector of one path, with random weights."""
    config = deepcopy(plan.config)
    backbone = config.model.backbone
    space = plan.costs.sampler.space.to_dict()
    shuffle = plan.config.model.backbone.get("channel_shuffle", "even_odd")
    backbone.type = "DetNASNet"
    backbone.architecture = {"space": space, "choices": list(path), "channel_shuffle": shuffle}
    backbone.pop("space", None)
    return build_random_model(config).eval().to(get_device())
