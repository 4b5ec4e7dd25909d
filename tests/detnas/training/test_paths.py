"""Path policies and the warm-up that inflates one path into all."""

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from detnas.models import DetNASSupernet
from detnas.training.paths import PathSamplingHook, UniformPaths
from search_space.cost import macs_table
from search_space.sampling import Budget
from search_space.spaces import get_space

TINY = get_space("tiny")


def _runner(backbone: Any, seed: int = 0) -> Any:
    log = SimpleNamespace(info=lambda *_: None)
    model = SimpleNamespace(backbone=backbone)
    return SimpleNamespace(model=model, seed=seed, iter=0, logger=log)


def _step(hook: PathSamplingHook, runner: Any, step: int) -> tuple[int, ...]:
    runner.iter = step
    hook.before_train_iter(runner, step)
    return runner.model.backbone.path


def test_a_path_is_a_function_of_seed_and_step() -> None:
    one, other = UniformPaths(TINY, 1), UniformPaths(TINY, 2)
    assert [one.path(i) for i in (5, 3, 5)] == [UniformPaths(TINY, 1).path(i) for i in (5, 3, 5)]
    assert one.path(3) != other.path(3)
    assert len({one.path(i) for i in range(50)}) > 45


def test_paths_keep_a_budget() -> None:
    table = macs_table(TINY)
    policy = UniformPaths(TINY, 0, [Budget(upper=36e6)])
    assert max(table.of(policy.path(i)) for i in range(50)) <= 36e6


def test_all_choices_of_all_blocks_are_trained() -> None:
    policy = UniformPaths(TINY, 0)
    seen = {(b, c) for i in range(60) for b, c in enumerate(policy.path(i))}
    assert len(seen) == 40


def test_hook_sets_the_path_of_the_iteration_wherever_it_starts() -> None:
    runner = _runner(DetNASSupernet("tiny"))
    hook = PathSamplingHook()
    hook.before_train(runner)
    paths = [_step(hook, runner, i) for i in range(4)]
    resumed = PathSamplingHook()
    resumed.before_train(runner)
    assert _step(resumed, runner, 3) == paths[3]
    assert len(set(paths)) == 4


def test_hook_refuses_another_backbone_and_an_unknown_policy() -> None:
    with pytest.raises(ValueError, match="DetNASSupernet"):
        PathSamplingHook().before_train(_runner(torch.nn.Identity()))
    with pytest.raises(ValueError, match="'unifrom' is unknown"):
        PathSamplingHook("unifrom")


def test_warm_up_trains_one_path_and_then_gives_its_function_to_all() -> None:
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
        for key, value in before.items():  # the warmed path itself is untouched
            if key.startswith("stem.") or key.split(".")[2] == "0":
                assert torch.equal(inflated[key], value) or "running" in key or "num_b" in key
        for path in ((1,) * 10, (2,) * 10, (0, 1, 2) * 3 + (0,)):
            backbone.set_path(path)
            for one, other in zip(backbone(images), features, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
        backbone.set_path((3,) * 10)
        first = backbone(images)[0]
    correlation = torch.corrcoef(torch.stack([first.flatten(), features[0].flatten()]))[0, 1]
    assert correlation > 0.4  # Xception blocks begin near, not exactly
