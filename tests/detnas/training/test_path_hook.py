"""The path-sampling hook: the path of a step, summed gradients of several paths, warm-up."""

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import Tensor

from detnas.models import DetNASSupernet
from detnas.training.path_hook import PathSamplingHook
from detnas.training.paths import StrictlyFairPaths
from search_space.spaces import get_space


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


def test_hook_refuses_other_backbones_and_unknown_policies() -> None:
    with pytest.raises(ValueError, match="DetNASSupernet"):
        PathSamplingHook().before_train(_runner(torch.nn.Identity()))
    with pytest.raises(ValueError, match="'unifrom' is unknown"):
        PathSamplingHook("unifrom")
    with pytest.raises(ValueError, match=r"no argument 'bin'.*bins"):
        PathSamplingHook({"type": "uniform_bins", "lower": 1, "upper": 2, "bin": 7})
    with pytest.raises(ValueError, match="budgets of the path policy"):
        PathSamplingHook({"type": "uniform", "budgets": [{"cots": "macs"}]})


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

    for path in StrictlyFairPaths(get_space("tiny"), 5).paths(0):
        reference.backbone.set_path(path)
        reference(images)["loss"].backward()
    for (name, parameter), own in zip(
        reference.named_parameters(), model.parameters(), strict=True
    ):
        assert parameter.grad is not None, name  # every choice of every block learns
        torch.testing.assert_close(before[name] - own, parameter.grad, rtol=1e-4, atol=1e-6)
    assert all(p.grad is None for p in model.parameters())
    assert wrapper._inner_count == 1
