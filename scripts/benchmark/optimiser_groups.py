"""Time of an optimiser and scheduler step with two parameter groups and with one per parameter.

    python scripts/benchmark/optimiser_groups.py [--spaces small large] [--rounds 9] [--steps 20]

Steps the paper's pretraining of a supernet (SGD with momentum, linear decay) with our constructor
`TwoGroups` and with mmengine's `paramwise_cfg=dict(flat_decay_mult=0.0)`; both make the same step.
One random path has gradients, as in training; there is no forward pass. Rounds of the two
alternate. Prints medians, and the ratio of every round.
"""

import argparse
import statistics
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, PARAM_SCHEDULERS, init_default_scope

import detnas.training  # noqa: F401 - registers the constructor
from detnas.config import load_config
from detnas.evaluation.evaluator import quiet_logger
from search_space.sampling import BudgetSampler

CONFIGS = Path(__file__).parents[2] / "configs" / "paper"
FLAT_DECAY = {"constructor": "DefaultOptimWrapperConstructor"}
FLAT_DECAY |= {"paramwise_cfg": {"flat_decay_mult": 0.0}}
VARIANTS: dict[str, dict[str, Any]] = {"TwoGroups": {}, "flat_decay_mult": FLAT_DECAY}


def classifier(config: Any) -> Any:
    """The supernet's classifier with gradients of a random path."""
    model = MODELS.build({**config.model, "data_preprocessor": config.data_preprocessor})
    path = BudgetSampler(model.backbone.space).sample(np.random.default_rng(0), 1)[0]
    model.backbone.set_path(path.tolist())
    learning = [model.backbone.stem, *model.backbone.active_blocks(), model.neck, model.head]
    for module in learning:
        for parameter in module.parameters():
            parameter.grad = torch.full_like(parameter, 1e-4)
    return model


def step_seconds(wrapper: Any, scheduler: Any, steps: int) -> tuple[float, float]:
    """Mean time of a step of the optimiser, and of one of the scheduler."""
    optimiser_time = scheduler_time = 0.0
    for _ in range(steps):
        begin = time.perf_counter()
        wrapper.step()
        middle = time.perf_counter()
        scheduler.step()
        optimiser_time += middle - begin
        scheduler_time += time.perf_counter() - middle
    return optimiser_time / steps, scheduler_time / steps


def measure(space: str, rounds: int, steps: int) -> None:
    """Time both variants on one space, and print."""
    config = load_config(CONFIGS / f"supernet_{space}" / "pretrain.py")
    init_default_scope(config.default_scope)
    model = classifier(config)
    built = {}
    for name, changes in VARIANTS.items():
        copy = deepcopy(model)
        for one, other in zip(copy.parameters(), model.parameters(), strict=True):
            one.grad = other.grad
        wrapper = build_optim_wrapper(copy, {**config.optim_wrapper.to_dict(), **changes})
        schedule = config.param_scheduler[0].to_dict()
        built[name] = wrapper, PARAM_SCHEDULERS.build(schedule, default_args={"optimizer": wrapper})
        step_seconds(*built[name], steps)  # creates the momentum buffers
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in built}
    for i in range(rounds):
        for name in list(built) if i % 2 else reversed(list(built)):
            times[name].append(step_seconds(*built[name], steps))
    used = sum(p.grad is not None for p in model.parameters())
    print(f"{space}: {len(list(model.parameters())):,} parameter tensors, {used} on the path")
    for name, (wrapper, _) in built.items():
        parts = [statistics.median(part) * 1e3 for part in zip(*times[name], strict=True)]
        total = statistics.median(map(sum, times[name])) * 1e3
        print(
            f"{name:>16}  {len(wrapper.optimizer.param_groups):5} groups  {total:7.2f} ms a step: "
            f"optimiser {parts[0]:.2f}, scheduler {parts[1]:.2f}"
        )
    two, flat = times.values()
    ratios = [sum(b) / sum(a) for a, b in zip(two, flat, strict=True)]
    listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"{'ratio':>16}  {statistics.median(ratios):.2f} ({listed})", flush=True)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spaces", nargs="+", default=["small", "large"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=20, help="of each variant in a round")
    options = parser.parse_args()
    quiet_logger()
    for space in options.spaces:
        measure(space, options.rounds, options.steps)


if __name__ == "__main__":
    main()
