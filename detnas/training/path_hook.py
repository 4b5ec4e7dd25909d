"""The hook that trains a supernet path by path: it sets the path of every iteration."""

import inspect
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from detnas.errors import UserError
from detnas.models.checkpoints import unwrapped
from detnas.training.paths import POLICIES, PathChoices, PathPolicy
from search_space.sampling import Budget
from search_space.spaces import SearchSpace


@HOOKS.register_module()
class PathSamplingHook(Hook):
    """Sets the supernet's path before every training iteration.

    If the policy has several paths per step, the hook accumulates the gradients of all but the last
    path on the same batch. The iteration itself adds those of the last path, and steps.

    Args:
        policy: "uniform", "uniform_bins", "strictly_fair", or a dict with such a `type` and the
            policy's arguments (see `detnas.training.paths`), for example
            dict(type="uniform_bins", lower=257e6, upper=327e6, bins=7).
        seed: None means the run's seed.
        warmup_iters: how many iterations train only the path of 3x3 ShuffleNet blocks. It is then
            inflated into every choice (`DetNASSupernet.inflate`). This is not in the paper; with
            it a supernet learns in minutes what otherwise takes days.
    Raises:
        UserError: the policy is unknown, or does not take these arguments.
    """

    priority = "VERY_HIGH"

    def __init__(
        self,
        policy: str | Mapping[str, Any] = "uniform",
        seed: int | None = None,
        warmup_iters: int = 0,
    ) -> None:
        self._name, self._arguments = _read_policy(policy)
        self._seed = seed
        self._warmup_iters = warmup_iters
        self._policy: PathPolicy | None = None

    def before_train(self, runner: Any) -> None:
        """Builds the policy for the supernet's space; UserError if the backbone is no supernet."""
        backbone = _backbone(runner)
        if not hasattr(backbone, "set_path"):
            raise UserError(
                "PathSamplingHook needs a DetNASSupernet as the backbone, not "
                f"{type(backbone).__name__}: remove the hook from custom_hooks, or change the model"
            )
        self._policy = self.policy(backbone.space, runner.seed)

    def policy(self, space: SearchSpace, seed: int) -> PathPolicy:
        """The policy for a space; SpaceError if it is impossible there, such as an empty bin."""
        seed = seed if self._seed is None else self._seed
        return POLICIES[self._name](space, seed, **self._arguments)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Sets the path of iteration `runner.iter`."""
        assert self._policy is not None
        backbone, step = _backbone(runner), runner.iter
        if step < self._warmup_iters:
            backbone.set_path((0,) * backbone.space.num_blocks)
            return
        if step == self._warmup_iters > 0:
            backbone.inflate()
            runner.logger.info("end of warm-up: its path is inflated into every choice")
        *others, last = self._policy.paths(step)
        for path in others:
            _accumulate(runner, backbone, path, data_batch)
        backbone.set_path(last)


def _read_policy(policy: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    arguments: dict[str, Any] = {"type": policy} if isinstance(policy, str) else dict(policy)
    name = arguments.pop("type", None)
    if name not in POLICIES:
        raise UserError(f"path policy {name!r} is unknown; it may be {', '.join(POLICIES)}")
    known = list(inspect.signature(POLICIES[name]).parameters)[2:]
    for key in arguments:
        if key not in known:
            raise UserError(
                f"path policy {name!r} has no argument {key!r}; "
                f"it takes {', '.join(known) or 'none'}"
            )
    if "budgets" in arguments:
        arguments["budgets"] = _read_budgets(arguments["budgets"])
    return name, arguments


def _read_budgets(budgets: Sequence[Mapping[str, Any]]) -> list[Budget]:
    try:
        return [Budget(**budget) for budget in budgets]
    except TypeError as error:
        raise UserError(f"budgets of the path policy: {error}") from None


def _accumulate(runner: Any, backbone: Any, path: PathChoices, data_batch: Any) -> None:
    """Add the gradients of one path to the gradients of the step.

    Distributed training averages gradients after every backward pass, and so averages these again
    with the next path. That changes nothing, as they are equal in all processes.
    """
    model, optim_wrapper = runner.model, runner.optim_wrapper
    backbone.set_path(path)
    before = optim_wrapper._inner_count  # gradient accumulation counts iterations, not paths
    with optim_wrapper.optim_context(model):
        data = unwrapped(model).data_preprocessor(deepcopy(data_batch), True)
        losses = model(**data, mode="loss")
    loss, _ = unwrapped(model).parse_losses(losses)
    optim_wrapper.backward(optim_wrapper.scale_loss(loss))
    optim_wrapper._inner_count = before


def _backbone(runner: Any) -> Any:
    return unwrapped(runner.model).backbone
