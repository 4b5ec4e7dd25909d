"""Path policies, and the hook that applies them.

Policies are functions of (seed, step), uniform within budgets and bins, or fair. The hook
sets the path of a step, sums the gradients of several paths, and warms up.
"""

import copy
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import Tensor

from detnas.models import DetNASSupernet
from detnas.training.paths import (
    PathPolicy,
    PathSamplingHook,
    fair_paths,
    strictly_fair_paths,
    uniform_bin_paths,
    uniform_paths,
)
from detnas.training.seeding import PATH
from search_space.architecture import Architecture
from search_space.cost import macs_table, params_table
from search_space.sampling import Budget, enumerate_space
from search_space.spaces import PAPER_CHOICES, SearchSpace, Stage, get_space

TINY, SMALL, RAGGED = get_space("tiny"), get_space("small"), get_space("tiny-skip")


@pytest.mark.parametrize("space", [TINY, RAGGED], ids=lambda space: space.name)
@pytest.mark.parametrize("policy", [uniform_paths, fair_paths, strictly_fair_paths])
def test_a_path_is_a_function_of_seed_and_step(
    policy: Callable[[SearchSpace, int], PathPolicy], space: SearchSpace
) -> None:
    one, other = policy(space, 1), policy(space, 2)
    assert [one(i) for i in (500, 3, 500)] == [policy(space, 1)(i) for i in (500, 3, 500)]
    assert one(3) != other(3)
    assert len({one(i) for i in range(50)}) > 45
    for paths in map(one, range(50)):
        for path in paths:
            assert Architecture(space, path).choices == path  # a path of the space


def test_paths_keep_a_budget() -> None:
    table = macs_table(TINY)
    policy = uniform_paths(TINY, 0, [Budget(upper=36e6)])
    assert max(table.of(policy(i)[0]) for i in range(50)) <= 36e6


def test_paths_of_a_ragged_space_keep_budgets_and_bins() -> None:
    """Budgets and bins that a third to a half of all paths are in."""
    macs, params = macs_table(RAGGED), params_table(RAGGED)
    uniform = uniform_paths(RAGGED, 0, [Budget(upper=40e6), Budget("params", lower=140e3)])
    bins = uniform_bin_paths(RAGGED, 0, lower=36e6, upper=40e6, bins=2)
    for policy in (uniform, bins):
        paths = [policy(i)[0] for i in range(300)]
        assert max(map(macs.of, paths)) <= 40e6
        seen = [tuple(sorted(set(column))) for column in zip(*paths, strict=True)]
        assert tuple(seen) == RAGGED.numbers
    assert min(params.of(uniform(i)[0]) for i in range(300)) >= 140e3
    assert min(macs.of(bins(i)[0]) for i in range(300)) >= 36e6


@pytest.mark.parametrize("space", [TINY, RAGGED], ids=lambda space: space.name)
def test_all_choices_of_all_blocks_are_trained(space: SearchSpace) -> None:
    policy = uniform_paths(space, 0)
    seen = {(b, c) for i in range(60) for b, c in enumerate(policy(i)[0])}
    assert len(seen) == sum(map(len, space.numbers))


def test_the_authors_bins_are_drawn_equally_often() -> None:
    """Seven bins of 10M from 257M; uniform paths would mostly be in the middle bins."""
    table = macs_table(SMALL)
    policy = uniform_bin_paths(SMALL, seed=0, lower=257e6, upper=327e6, bins=7)
    costs = np.array([table.of(policy(i)[0]) for i in range(1400)])
    assert costs.min() >= 257e6
    assert costs.max() <= 327e6
    counts = np.histogram(costs, bins=7, range=(257e6, 327e6))[0]
    expected = len(costs) / 7
    assert ((counts - expected) ** 2 / expected).sum() < 22.5  # chi-square, 6 degrees, p = 0.001
    uniform = np.histogram(
        [table.of(uniform_paths(SMALL, 0)(i)[0]) for i in range(1400)], 7, (257e6, 327e6)
    )[0]
    assert ((uniform - expected) ** 2 / expected).sum() > 500  # so the test can fail


def test_paths_within_a_bin_are_equally_likely() -> None:
    """In a space of 64 architectures, against the enumeration of each bin."""
    space = SearchSpace("three", 4, (Stage(8, 1), Stage(16, 1), Stage(32, 1)), PAPER_CHOICES)
    table = macs_table(space)
    lower, upper, bins = table.min, table.max, 2
    policy = uniform_bin_paths(space, seed=3, lower=lower, upper=upper, bins=bins)
    drawn = Counter(policy(i)[0] for i in range(4000))
    middle = (lower + upper) / 2
    low = [a for a in enumerate_space(space) if table.of(a) <= middle]
    high = [a for a in enumerate_space(space) if table.of(a) >= middle]
    for members in (low, high):
        expected = 2000 / len(members)
        chi = sum((drawn[a] - expected) ** 2 / expected for a in members)
        assert chi < 2.2 * len(members), (chi, len(members))
    assert set(drawn) == {*low, *high}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lower": 1e6, "upper": 2e6, "bins": 1}, "bin is empty.*237,222,720"),
        ({"lower": 3e8, "upper": 2e8, "bins": 3}, "lower < upper"),
        ({"lower": 2.5e8, "upper": 3e8, "bins": 0}, "bins >= 1"),
    ],
)
def test_impossible_bins_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        uniform_bin_paths(SMALL, 0, **arguments)


def test_strictly_fair_paths_use_every_choice_of_every_block_once() -> None:
    policy = strictly_fair_paths(TINY, seed=0)
    for step in range(20):
        paths = policy(step)
        assert len(paths) == 4
        assert all(sorted(column) == [0, 1, 2, 3] for column in zip(*paths, strict=True))
    firsts = np.array([policy(i)[0] for i in range(600)])
    for block in firsts.T:  # every choice is equally often in the first path
        assert np.abs(np.bincount(block, minlength=4) - 150).max() < 50
    assert abs(np.corrcoef(firsts[:, 0], firsts[:, 1])[0, 1]) < 0.15  # blocks are independent


@pytest.mark.parametrize("space", [TINY, SMALL], ids=lambda space: space.name)
def test_strictly_fair_paths_are_those_of_earlier_versions(space: SearchSpace) -> None:
    """Runs that were started before spaces could be ragged can be resumed."""
    policy = strictly_fair_paths(space, seed=7)
    choices = np.tile(np.arange(4), (space.num_blocks, 1))
    for step in (0, 1, 20_000):
        drawn = np.random.default_rng([7, PATH, step]).permuted(choices, axis=1)
        assert policy(step) == tuple(map(tuple, drawn.T.tolist()))


@pytest.mark.parametrize("space", [TINY, RAGGED], ids=lambda space: space.name)
def test_fair_paths_use_every_choice_once_in_as_many_steps(space: SearchSpace) -> None:
    policy = fair_paths(space, seed=0)
    paths = [policy(step) for step in range(240)]
    assert all(len(path) == 1 for path in paths)
    for column, numbers in zip(np.array(paths)[:, 0].T, space.numbers, strict=True):
        groups = column.reshape(-1, len(numbers))
        assert (np.sort(groups) == numbers).all()
        assert len(np.unique(groups, axis=0)) > 10  # in another order every time


@pytest.mark.parametrize("space", [TINY, RAGGED], ids=lambda space: space.name)
def test_blocks_have_independent_fair_cycles(space: SearchSpace) -> None:
    """Every pair of choices of two blocks is equally often on one path."""
    policy = fair_paths(space, seed=0)
    drawn = np.array([policy(step)[0] for step in range(4000)])
    for one, other in combinations(range(space.num_blocks), 2):
        pairs = np.zeros((5, 5))
        np.add.at(pairs, (drawn[:, one], drawn[:, other]), 1)
        pairs = pairs[np.ix_(space.numbers[one], space.numbers[other])]
        expected = len(drawn) / pairs.size
        assert ((pairs - expected) ** 2 / expected).sum() < 60, (one, other)  # 9 to 16 degrees


def test_strictly_fair_paths_of_a_ragged_space_are_the_next_fair_ones() -> None:
    single, several = fair_paths(RAGGED, seed=3), strictly_fair_paths(RAGGED, seed=3)
    for step in range(40):
        assert several(step) == tuple(single(5 * step + i)[0] for i in range(5))
    drawn = np.array([several(step) for step in range(40)])
    for column, numbers in zip(np.moveaxis(drawn, 2, 0), RAGGED.numbers, strict=True):
        assert (np.bincount(column.flatten()) == 200 // len(numbers)).all()
        if len(numbers) == 5:
            assert (np.sort(column) == numbers).all()


def _runner(backbone: Any, seed: int = 0) -> Any:
    log = SimpleNamespace(info=lambda *_: None)
    model = SimpleNamespace(backbone=backbone)
    return SimpleNamespace(model=model, seed=seed, iter=0, logger=log)


def _step(hook: PathSamplingHook, runner: Any, step: int) -> tuple[int, ...]:
    runner.iter = step
    hook.before_train_iter(runner, step)
    return runner.model.backbone.path


def test_a_resumed_hook_sets_the_same_path() -> None:
    runner = _runner(DetNASSupernet("tiny"))
    hook = PathSamplingHook()
    hook.before_train(runner)
    paths = [_step(hook, runner, i) for i in range(4)]
    resumed = PathSamplingHook()
    resumed.before_train(runner)
    assert _step(resumed, runner, 3) == paths[3]
    assert len(set(paths)) == 4


def test_hook_warms_up_the_first_choice_of_every_block() -> None:
    places = tuple(PAPER_CHOICES[i % 2 : i % 2 + 3] for i in range(3))
    stages = (Stage(8, 1), Stage(16, 1), Stage(32, 1))
    space = SearchSpace("places", 4, stages, PAPER_CHOICES, places)
    runner = _runner(DetNASSupernet(space, out_indices=(2,)))
    hook = PathSamplingHook(warmup_iters=2)
    hook.before_train(runner)
    assert _step(hook, runner, 1) == (0, 1, 0)
    with pytest.raises(ValueError, match="must be the first choice of every block"):
        _step(hook, runner, 2)  # after a warm-up, only 3x3 blocks can be inflated


@pytest.mark.parametrize(("fall", "warned"), [(0.2, True), (0.3, False)])
def test_a_warm_up_that_has_hardly_learned_is_warned_of(fall: float, warned: bool) -> None:
    runner = _runner(DetNASSupernet("tiny"))
    said: list[str] = []
    runner.logger.warning = said.append
    hook = PathSamplingHook(warmup_iters=60)
    hook.before_train(runner)
    for step in range(61):
        _step(hook, runner, step)
        loss = 2.0 if step < 30 else 2.0 * (1 - fall)
        hook.after_train_iter(runner, step, outputs={"loss": torch.tensor(loss)})
    assert bool(said) == warned
    if said:
        assert "hardly fallen, from 2.000 to 1.600" in said[0]
        assert "path_warmup_iters" in said[0]


def test_hook_refuses_other_backbones_and_unknown_policies() -> None:
    with pytest.raises(ValueError, match="DetNASSupernet"):
        PathSamplingHook().before_train(_runner(torch.nn.Identity()))
    with pytest.raises(ValueError, match="'unifrom' is unknown"):
        PathSamplingHook("unifrom")
    with pytest.raises(ValueError, match=r"no argument 'bin'.*bins"):
        PathSamplingHook({"type": "uniform_bins", "lower": 1, "upper": 2, "bin": 7})
    with pytest.raises(ValueError, match="'uniform_bins' needs the argument 'upper'"):
        PathSamplingHook({"type": "uniform_bins", "lower": 1, "bins": 7})
    size = {"type": "uniform_bins", "lower": 34e6, "upper": 50e6, "input_size": [3, 224, 224]}
    PathSamplingHook({**size, "bins": 2}).policy(TINY, 0)
    with pytest.raises(ValueError, match=r"bins >= 1, and lower < upper, .* not 0 from"):
        PathSamplingHook({**size, "bins": 0}).policy(TINY, 0)
    with pytest.raises(ValueError, match="both finite, not 2 from"):
        PathSamplingHook({**size, "bins": 2, "upper": float("inf")}).policy(TINY, 0)
    for wrong in ({"bins": 7.5}, {"bins": True}, {"lower": "low"}, {"input_size": [3, 224]}):
        with pytest.raises(ValueError, match=f"path_policy.{next(iter(wrong))}"):
            PathSamplingHook({"bins": 2, **size, **wrong})
    for other in (3, None, ["fair"]):
        with pytest.raises(ValueError, match=r"must be a name \(uniform, .*\) or a dict"):
            PathSamplingHook(other)  # type: ignore[arg-type]
    for warmup in (-1, 2.5, True, "x"):
        with pytest.raises(ValueError, match=r"warmup_iters .* must be a whole number"):
            PathSamplingHook(warmup_iters=warmup)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"unknown key 'cots' under path_policy.budgets"):
        PathSamplingHook({"type": "uniform", "budgets": [{"cots": "macs"}]})
    with pytest.raises(ValueError, match=r"path_policy.budgets"):
        PathSamplingHook({"type": "uniform", "budgets": {"cost": "macs"}})


def test_warm_up_trains_one_path_and_inflates_it_into_all_choices() -> None:
    torch.manual_seed(0)
    backbone = DetNASSupernet("tiny")
    backbone.init_weights()
    runner = _runner(backbone)
    hook = PathSamplingHook(warmup_iters=3)
    hook.before_train(runner)
    assert [_step(hook, runner, i) for i in range(3)] == [(0,) * 10] * 3
    before = copy.deepcopy(backbone.state_dict())
    images = torch.randn(4, 3, 64, 64)
    backbone.train()
    with torch.no_grad():
        features = backbone(images)
        assert _step(hook, runner, 3) != (0,) * 10
        inflated = backbone.state_dict()
        for key, value in before.items():  # the trained path itself is unchanged
            if key.startswith("stem.") or key.split(".")[2] == "0":
                assert torch.equal(inflated[key], value) or "running" in key or "num_b" in key
        for path in ((1,) * 10, (2,) * 10, (0, 1, 2) * 3 + (0,)):
            backbone.set_path(path)
            for one, other in zip(backbone(images), features, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
        backbone.set_path((3,) * 10)
        first = backbone(images)[0]
    correlation = torch.corrcoef(torch.stack([first.flatten(), features[0].flatten()]))[0, 1]
    assert correlation > 0.4  # Xception blocks only approximate the trained path


class _Model(BaseModel):
    """A supernet whose loss is the mean square of its features."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = DetNASSupernet("tiny")
        self.backbone.init_weights()

    def forward(
        self, inputs: Tensor, data_samples: Any = None, mode: str = "loss"
    ) -> dict[str, Tensor]:
        return {"loss": sum(f.square().mean() for f in self.backbone(inputs))}


def test_strictly_fair_steps_sum_the_gradients_of_all_paths() -> None:
    torch.manual_seed(0)
    model = _Model().train()
    reference = copy.deepcopy(model)
    images = torch.randn(2, 3, 64, 64)
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1.0))
    runner = SimpleNamespace(model=model, seed=5, iter=0, optim_wrapper=wrapper)
    hook = PathSamplingHook("strictly_fair")
    hook.before_train(runner)
    hook.before_train_iter(runner, 0, {"inputs": images})
    before = copy.deepcopy(model.state_dict())
    model.train_step({"inputs": images}, wrapper)

    for path in strictly_fair_paths(TINY, 5)(0):
        reference.backbone.set_path(path)
        reference(images)["loss"].backward()
    for (name, parameter), own in zip(
        reference.named_parameters(), model.parameters(), strict=True
    ):
        assert parameter.grad is not None, name  # every choice of every block learns
        torch.testing.assert_close(before[name] - own, parameter.grad, rtol=1e-4, atol=1e-6)
    assert all(p.grad is None for p in model.parameters())
    assert wrapper._inner_count == 1
