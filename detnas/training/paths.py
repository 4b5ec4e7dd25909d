"""Path policies: which path of the supernet trains at an iteration."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from detnas.models.checkpoints import unwrapped
from detnas.training.seeding import PATH
from search_space.sampling import Budget, BudgetSampler
from search_space.spaces import SearchSpace


class PathPolicy(Protocol):
    """The path of a step, a function of (seed, step) alone: ranks agree without a broadcast."""

    def path(self, step: int) -> tuple[int, ...]:
        """Choices of every block at iteration `step`, counted from 0."""


class UniformPaths:
    """Every architecture inside the budgets equally likely; without budgets, every one."""

    def __init__(self, space: SearchSpace, seed: int, budgets: Sequence[Budget] = ()) -> None:
        self._sampler = BudgetSampler(space, budgets)
        self._seed = seed

    def path(self, step: int) -> tuple[int, ...]:
        """See `PathPolicy.path`."""
        rng = np.random.default_rng([self._seed, PATH, step])
        return tuple(self._sampler.sample(rng, 1)[0].tolist())


POLICIES = {"uniform": UniformPaths}


@HOOKS.register_module()
class PathSamplingHook(Hook):
    """Sets the supernet's path before every training iteration.

    Args:
        policy: "uniform".
        seed: None takes the run's seed.
        budgets: dicts of `search_space.sampling.Budget`'s fields; paths outside are not trained.
        warmup_iters: train the path of 3x3 ShuffleNet blocks alone for so many iterations, then
            inflate it into every choice (`DetNASSupernet.inflate`) and go on path-wise. The paper
            does not; it makes a supernet learn in minutes that otherwise needs days.
    """

    priority = "VERY_HIGH"

    def __init__(
        self,
        policy: str = "uniform",
        seed: int | None = None,
        budgets: Sequence[dict[str, Any]] = (),
        warmup_iters: int = 0,
    ) -> None:
        if policy not in POLICIES:
            raise ValueError(f"path policy {policy!r} is unknown: it may be {', '.join(POLICIES)}")
        self._policy_name = policy
        self._seed = seed
        self._budgets = [Budget(**budget) for budget in budgets]
        self._warmup_iters = warmup_iters
        self._policy: PathPolicy | None = None

    def before_train(self, runner: Any) -> None:
        """Builds the policy for the supernet's space. ValueError where there is no supernet."""
        backbone = _backbone(runner)
        if not hasattr(backbone, "set_path"):
            raise ValueError(
                "PathSamplingHook needs a DetNASSupernet as the backbone, not "
                f"{type(backbone).__name__}: remove the hook from custom_hooks, or change the model"
            )
        seed = runner.seed if self._seed is None else self._seed
        self._policy = POLICIES[self._policy_name](backbone.space, seed, self._budgets)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """The path of iteration `runner.iter`."""
        assert self._policy is not None
        backbone, step = _backbone(runner), runner.iter
        if step < self._warmup_iters:
            backbone.set_path((0,) * backbone.space.num_blocks)
            return
        if step == self._warmup_iters > 0:
            backbone.inflate()
            runner.logger.info("warm-up ends: its path is inflated into every choice")
        backbone.set_path(self._policy.path(step))


def _backbone(runner: Any) -> Any:
    return unwrapped(runner.model).backbone
