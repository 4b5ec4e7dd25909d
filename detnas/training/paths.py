"""Which paths of the supernet an iteration trains: path policies, and the hook that uses them."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from itertools import pairwise
from typing import Any, get_type_hints

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from detnas.errors import UserError, user_input
from detnas.models.checkpoints import unwrapped
from detnas.training.seeding import PATH
from search_space.architecture import Choices
from search_space.sampling import Budget, BudgetSampler, InfeasibleBudgetError
from search_space.spaces import SearchSpace
from search_space.validation import convert

PathPolicy = Callable[[int], tuple[Choices, ...]]
"""Returns the paths whose gradients are summed in an iteration, counted from 0.

They are a function of (seed, iteration) alone, so all ranks agree on them without communication,
and a resumed run continues with the same paths. The functions that make a policy take the space of
the supernet and the seed of the run.
"""


def uniform_paths(space: SearchSpace, seed: int, budgets: Sequence[Budget] = ()) -> PathPolicy:
    """One path per step, drawn uniformly within all budgets (DetNAS, section 3.2).

    Args:
        budgets: none means all paths of the space.
    """
    sampler = BudgetSampler(space, budgets)
    return lambda step: (_draw(sampler, _generator(seed, step)),)


def uniform_bin_paths(
    space: SearchSpace,
    seed: int,
    lower: float,
    upper: float,
    bins: int,
    cost: str = "macs",
    input_size: tuple[int, int, int] = (3, 224, 224),
) -> PathPolicy:
    """One path per step: a bin of the cost drawn uniformly, then a path uniformly within the bin.

    The authors' code does this in pretraining, by rejection sampling over seven bins of 10M
    multiply-adds; here paths within a bin have exactly equal probability. As in their code, both
    edges belong to a bin. Paths of rare costs are trained more often than with `uniform_paths`.

    Args:
        lower: the lowest bin's lower edge.
        upper: the highest bin's upper edge.
        bins: how many bins of equal width.
        cost: "macs" or "params".
        input_size: (channels, height, width) for the multiply-adds.
    Raises:
        UserError: there are no bins, or the edges are in the wrong order.
        InfeasibleBudgetError: a bin has no architecture.
    """
    if bins < 1 or not -math.inf < lower < upper < math.inf:
        raise UserError(
            "path bins need bins >= 1, and lower < upper, both finite, not "
            f"{bins} from {lower} to {upper}"
        )
    edges = [lower + (upper - lower) * i / bins for i in range(bins + 1)]
    try:
        samplers = [
            BudgetSampler(space, [Budget(cost, low, high, input_size)])
            for low, high in pairwise(edges)
        ]
    except InfeasibleBudgetError as error:
        raise InfeasibleBudgetError(f"a path bin is empty: {error}") from None

    def paths(step: int) -> tuple[Choices, ...]:
        rng = _generator(seed, step)
        return (_draw(samplers[rng.integers(bins)], rng),)

    return paths


def fair_paths(space: SearchSpace, seed: int) -> PathPolicy:
    """One path per step; n steps use each choice of a block with n choices exactly once.

    The first n steps are such a group, the next n steps are another, and so on. A step costs as
    much as with `uniform_paths`, and every path is equally likely at every step. There are no
    budgets: the paths within a budget do not contain all choices of a block equally often.
    """
    path = _cycles(space, seed)
    return lambda step: (path(step),)


def strictly_fair_paths(space: SearchSpace, seed: int) -> PathPolicy:
    """As many paths per step as a block has choices, which use each choice of each block once.

    FairNAS (1907.01845, algorithm 1): every block has a random permutation of its choices, the i-th
    path takes the i-th choice of each block, and the gradients of all paths are summed before the
    optimiser's step. Layers that all paths share (stem, neck, head) get the sum of their gradients.

    The paths of a step are the next ones of `fair_paths`. A block with fewer choices than others
    has some of them on two paths of a step; over the steps, each is on equally many.
    """
    path = _cycles(space, seed)
    count = max(map(len, space.numbers))
    return lambda step: tuple(path(step * count + i) for i in range(count))


def _cycles(space: SearchSpace, seed: int) -> Callable[[int], Choices]:
    """The path at a position: every block goes through its choices in cycles, each in random order.

    The order of a cycle is a function of (seed, block, number of the cycle), and independent of
    the orders of other blocks and cycles.
    """
    sizes = [len(numbers) for numbers in space.numbers]

    @lru_cache(maxsize=16)
    def orders(cycle: int) -> list[list[int]]:
        rng = _generator(seed, cycle)
        return [rng.permuted(numbers).tolist() for numbers in space.numbers]

    def path(position: int) -> Choices:
        return tuple(
            orders(position // size)[block][position % size] for block, size in enumerate(sizes)
        )

    return path


def _generator(seed: int, step: int) -> np.random.Generator:
    return np.random.default_rng([seed, PATH, step])


def _draw(sampler: BudgetSampler, rng: np.random.Generator) -> Choices:
    return tuple(sampler.sample(rng, 1)[0].tolist())


JUDGED = 20
"""Iterations at the start and at the end of the warm-up whose mean losses are compared."""

HARDLY_LEARNED = 0.75
"""Of the first loss: a warm-up that ends above it is warned of."""

POLICIES: dict[str, Callable[..., PathPolicy]] = {
    "uniform": uniform_paths,
    "uniform_bins": uniform_bin_paths,
    "fair": fair_paths,
    "strictly_fair": strictly_fair_paths,
}


@HOOKS.register_module()
class PathSamplingHook(Hook):
    """Sets the supernet's path before every training iteration.

    If the policy has several paths per step, the hook accumulates the gradients of all but the last
    path on the same batch. The iteration itself adds those of the last path, and steps.

    Args:
        policy: "uniform", "uniform_bins", "fair", "strictly_fair", or a dict with such a `type` and
            the arguments of its function in this module, for example
            dict(type="uniform_bins", lower=257e6, upper=327e6, bins=7).
        seed: None means the run's seed.
        warmup_iters: how many iterations train only the path of first choices, which must be 3x3
            ShuffleNet blocks. It is then inflated into all choices (`DetNASSupernet.inflate`). This
            is not in the paper; with it a supernet learns in minutes what otherwise takes days. It
            should last until that path has learned; a warning says if its loss has hardly fallen.
    Raises:
        UserError: the policy is unknown, or does not take these arguments, or `warmup_iters` is
            negative.
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
        if isinstance(warmup_iters, bool) or not isinstance(warmup_iters, int) or warmup_iters < 0:
            raise UserError(
                f"warmup_iters (path_warmup_iters) is {warmup_iters!r}; it must be a whole number "
                "of iterations, at least 0"
            )
        self.warmup_iters = warmup_iters
        self._policy: PathPolicy | None = None
        self._first_losses: list[torch.Tensor] = []
        self._last_losses: list[torch.Tensor] = []

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
        if step < self.warmup_iters:
            backbone.set_path(backbone.space.first_choices)
            return
        if step == self.warmup_iters > 0:
            backbone.inflate()
            runner.logger.info("end of warm-up: its path is inflated into every choice")
            self._judge_warmup(runner)
        *others, last = self._policy(step)
        for path in others:
            _accumulate(runner, backbone, path, data_batch)
        backbone.set_path(last)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Records the first and the last losses of the warm-up."""
        step, end = runner.iter, self.warmup_iters
        if end < 2 * JUDGED or step >= end or "loss" not in (outputs or {}):
            return
        if step < JUDGED:
            self._first_losses.append(outputs["loss"].detach())
        elif step >= end - JUDGED:
            self._last_losses.append(outputs["loss"].detach())

    def _judge_warmup(self, runner: Any) -> None:
        if len(self._first_losses) < JUDGED or len(self._last_losses) < JUDGED:
            return  # too short, or resumed
        first, last = (
            torch.stack(each).mean().item() for each in (self._first_losses, self._last_losses)
        )
        if last > HARDLY_LEARNED * first:
            runner.logger.warning(
                f"the warm-up's loss has hardly fallen, from {first:.3f} to {last:.3f}: random "
                "paths learn slowly from there; make warmup_iters of PathSamplingHook "
                "(path_warmup_iters) and max_iters larger"
            )


def _read_policy(policy: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if not isinstance(policy, str | Mapping):
        raise UserError(
            f"path policy {policy!r} must be a name ({', '.join(POLICIES)}) or a dict with a `type`"
        )
    arguments: dict[str, Any] = {"type": policy} if isinstance(policy, str) else dict(policy)
    name = arguments.pop("type", None)
    if name not in POLICIES:
        raise UserError(f"path policy {name!r} is unknown; it may be {', '.join(POLICIES)}")
    parameters = dict(list(inspect.signature(POLICIES[name]).parameters.items())[2:])
    for key in arguments:
        if key not in parameters:
            raise UserError(
                f"path policy {name!r} has no argument {key!r}; "
                f"it takes {', '.join(parameters) or 'none'}"
            )
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and key not in arguments:
            raise UserError(f"path policy {name!r} needs the argument {key!r}")
    kinds = get_type_hints(POLICIES[name])
    with user_input():
        for key, value in arguments.items():
            kind = list[Budget] if key == "budgets" else kinds[key]
            plain = [dict(each) for each in value] if _are_mappings(value) else value
            arguments[key] = convert(plain, kind, f"path_policy.{key}")
    return name, arguments


def _are_mappings(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, Mapping) for each in value)


def _accumulate(runner: Any, backbone: Any, path: Choices, data_batch: Any) -> None:
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
