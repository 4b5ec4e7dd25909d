"""The hook that makes training path-wise: it sets the path, or adds up the gradients of several."""

import inspect
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from detnas.errors import UserError
from detnas.models.checkpoints import unwrapped
from detnas.training.paths import POLICIES, Path, PathPolicy
from search_space.sampling import Budget
from search_space.spaces import SearchSpace


@HOOKS.register_module()
class PathSamplingHook(Hook):
    """Sets the supernet's path before every training iteration.

    Where the policy gives several paths a step, the gradients of all but the last are computed here
    on the same batch; the iteration itself adds the last one's, and steps.

    Args:
        policy: "uniform", "uniform_bins", "strictly_fair", or a dict of that `type` and the
            policy's arguments (see `detnas.training.paths`), as
            dict(type="uniform_bins", lower=257e6, upper=327e6, bins=7).
        seed: None takes the run's seed.
        warmup_iters: train the path of 3x3 ShuffleNet blocks alone for so many iterations, then
            inflate it into every choice (`DetNASSupernet.inflate`) and go on path-wise. The paper
            does not; it makes a supernet learn in minutes that otherwise needs days.
    Raises:
        ValueError: an unknown policy, or arguments that it does not take.
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
        """Builds the policy for the supernet's space. ValueError where there is no supernet."""
        backbone = _backbone(runner)
        if not hasattr(backbone, "set_path"):
            raise UserError(
                "PathSamplingHook needs a DetNASSupernet as the backbone, not "
                f"{type(backbone).__name__}: remove the hook from custom_hooks, or change the model"
            )
        self._policy = self.policy(backbone.space, runner.seed)

    def policy(self, space: SearchSpace, seed: int) -> PathPolicy:
        """The policy for a space. ValueError where it has none, as with bins that are empty."""
        seed = seed if self._seed is None else self._seed
        return POLICIES[self._name](space, seed, **self._arguments)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """The paths of iteration `runner.iter`."""
        assert self._policy is not None
        backbone, step = _backbone(runner), runner.iter
        if step < self._warmup_iters:
            backbone.set_path((0,) * backbone.space.num_blocks)
            return
        if step == self._warmup_iters > 0:
            backbone.inflate()
            runner.logger.info("warm-up ends: its path is inflated into every choice")
        *others, last = self._policy.paths(step)
        for path in others:
            _accumulate(runner, backbone, path, data_batch)
        backbone.set_path(last)


def _read_policy(policy: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    arguments: dict[str, Any] = {"type": policy} if isinstance(policy, str) else dict(policy)
    name = arguments.pop("type", None)
    if name not in POLICIES:
        raise UserError(f"path policy {name!r} is unknown: it may be {', '.join(POLICIES)}")
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


def _accumulate(runner: Any, backbone: Any, path: Path, data_batch: Any) -> None:
    """Add the gradients of one path to those of the step.

    Several processes average them at once: averaging sums of gradients that are averages already
    leaves those as they are.
    """
    model, optim_wrapper = runner.model, runner.optim_wrapper
    backbone.set_path(path)
    before = optim_wrapper._inner_count  # this is no iteration of its own
    with optim_wrapper.optim_context(model):
        data = unwrapped(model).data_preprocessor(deepcopy(data_batch), True)
        losses = model(**data, mode="loss")
    loss, _ = unwrapped(model).parse_losses(losses)
    optim_wrapper.backward(optim_wrapper.scale_loss(loss))
    optim_wrapper._inner_count = before


def _backbone(runner: Any) -> Any:
    return unwrapped(runner.model).backbone
