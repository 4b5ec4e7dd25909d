"""Cheaper training: batch norm alone from an iteration on, small images until one."""

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from detnas.config import load_config
from detnas.errors import UserError
from detnas.models import DetNASSupernet
from detnas.models.checkpoints import read_checkpoint
from detnas.stages.train import check_training, train
from detnas.training.batch_norm_only import BatchNormOnlyHook, fix_all_but_batch_norm
from detnas.training.paths import PathSamplingHook
from detnas.training.small_images import SmallImagesHook

CONFIGS = Path(__file__).parents[2] / "miniature" / "retinanet"
BOTH = {"batch_norm_only": {"begin": 2}, "small_images": {"until": 3}}


class _Model(BaseModel):
    """A supernet whose loss is the mean square of its features after a layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = DetNASSupernet("tiny", out_indices=(3,))
        self.backbone.init_weights()
        self.neck = nn.Conv2d(256, 8, 1)

    def forward(
        self, inputs: Tensor, data_samples: Any = None, mode: str = "loss"
    ) -> dict[str, Tensor]:
        return {"loss": self.neck(*self.backbone(inputs)).square().mean()}


def _norm_names(module: nn.Module) -> set[str]:
    return {
        f"{name}.{key}"
        for name, part in module.named_modules()
        if isinstance(part, nn.BatchNorm2d)
        for key in ("weight", "bias")
    }


@pytest.mark.parametrize("policy", ["uniform", "strictly_fair"])
def test_only_batch_norm_of_active_paths_and_the_neck_learn(policy: str) -> None:
    torch.manual_seed(0)
    model = _Model().train()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    log = SimpleNamespace(info=lambda *_: None)
    wrapper = OptimWrapper(sgd)
    runner = SimpleNamespace(model=model, seed=0, iter=0, optim_wrapper=wrapper, logger=log)
    path_hook, hook = PathSamplingHook(policy), BatchNormOnlyHook(begin=2)
    path_hook.before_train(runner)
    batch = {"inputs": torch.randn(2, 3, 64, 64)}

    def step() -> set[str]:
        """Take a step; the names of the parameters that it changed."""
        before = copy.deepcopy(dict(model.named_parameters()))
        hook.before_train_iter(runner, runner.iter, batch)
        path_hook.before_train_iter(runner, runner.iter, batch)
        model.train_step(batch, wrapper)
        runner.iter += 1
        after = model.named_parameters()
        return {name for name, value in after if not torch.equal(value, before[name])}

    norms, neck = _norm_names(model), {"neck.weight", "neck.bias"}
    for _ in range(2):
        assert "backbone.stem.0.weight" in step()
    momentum = {p: s["momentum_buffer"].clone() for p, s in sgd.state.items()}
    everywhere: set[str] = set()
    for _ in range(3):
        changed = step()
        assert neck < changed
        assert changed <= norms | neck
        blocks = enumerate(model.backbone.path)
        on_path = tuple(f"backbone.blocks.{block}.{choice}." for block, choice in blocks)
        if policy == "uniform":
            stem_and_path = ("backbone.stem.", *on_path, "neck.")
            assert all(name.startswith(stem_and_path) for name in changed)
        assert {name for name in norms if name.startswith(on_path)} <= changed
        everywhere |= changed
    assert norms <= everywhere if policy == "strictly_fair" else not norms <= everywhere
    for name, parameter in model.named_parameters():
        if name not in norms | neck and parameter in momentum:
            assert torch.equal(sgd.state[parameter]["momentum_buffer"], momentum[parameter]), name


def test_a_backbone_without_trained_batch_norm_is_refused() -> None:
    with pytest.raises(UserError, match="the backbone has none that is trained"):
        fix_all_but_batch_norm(DetNASSupernet("tiny", frozen_stages=4))
    partly = DetNASSupernet("tiny", frozen_stages=1)
    fixed = fix_all_but_batch_norm(partly)
    trained = {name for name, p in partly.named_parameters() if p.requires_grad}
    assert 0 < len(trained) < len(_norm_names(partly))  # frozen stages stay frozen
    assert trained < _norm_names(partly)
    assert fixed > 0
    assert fix_all_but_batch_norm(partly) == 0


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_images_are_small_until_an_iteration(dtype: torch.dtype) -> None:
    hook, runner = SmallImagesHook(until=2, share=0.5), SimpleNamespace(iter=1)
    images = torch.randint(0, 256, (3, 3, 48, 33)).to(dtype)
    stacked: dict[str, Any] = {"inputs": images}
    listed: dict[str, Any] = {"inputs": [images[0], images[1, :, :1, :1]]}
    for batch in (stacked, listed):
        hook.before_train_iter(runner, 0, batch)
    assert stacked["inputs"].shape == (3, 3, 24, 16)
    assert stacked["inputs"].dtype == dtype
    one, other = listed["inputs"]
    assert torch.equal(one, stacked["inputs"][0])
    assert torch.equal(other, images[1, :, :1, :1])  # a side has at least one pixel
    assert abs(one.float().mean() - images[0].float().mean()) < 3
    runner.iter, batch = 2, {"inputs": images}
    hook.before_train_iter(runner, 0, batch)
    assert batch["inputs"] is images


def _train(data: Path, work_dir: Path, resume: bool = False, **options: Any) -> dict[str, Any]:
    options = {"pretrain_root": str(data), "console_level": "ERROR", **options}
    config = load_config(CONFIGS / "pretrain.py", options, work_dir)
    return read_checkpoint(train(config, resume=resume))


def test_resuming_is_exact(data: Path, tmp_path: Path) -> None:
    """From before each change, which come after iterations 2 and 3, and from after it."""
    options = {"max_iters": 5, "default_hooks.checkpoint.max_keep_ckpts": 9, **BOTH}
    whole = _train(data, tmp_path, checkpoint_interval=1, **options)["state_dict"]
    before = read_checkpoint(tmp_path / "iter_3.pth")["state_dict"]  # iteration 2 inflates
    for name, value in whole.items():
        is_convolution = name.startswith("backbone.") and value.dim() == 4
        assert not is_convolution or torch.equal(value, before[name]), name
    for name in ("head.fc.weight", "backbone.stem.1.weight"):
        assert not torch.equal(whole[name], before[name])

    for name in ("final.pth", "iter_5.pth"):
        (tmp_path / name).unlink()
    for last in (3, 2, 1):
        (tmp_path / f"iter_{last + 1}.pth").unlink()
        again = _train(data, tmp_path, True, checkpoint_interval=9, **options)["state_dict"]
        assert all(torch.equal(value, again[name]) for name, value in whole.items()), last
        (tmp_path / "final.pth").unlink()
        (tmp_path / "iter_5.pth").unlink()


def test_each_shortcut_changes_the_training(data: Path, tmp_path: Path) -> None:
    plain = _train(data, tmp_path / "plain")["state_dict"]
    for key, section in BOTH.items():
        other = _train(data, tmp_path / key, **{key: section})["state_dict"]
        assert not torch.equal(other["backbone.stem.0.weight"], plain["backbone.stem.0.weight"])


@pytest.mark.parametrize(
    ("stage", "options", "message"),
    [
        ("pretrain", {"batch_norm_only": {"begin": 4}}, "batch_norm_only.begin is 4 of 4"),
        ("pretrain", {"batch_norm_only": {}}, "batch_norm_only"),
        ("pretrain", {"batch_norm_only": 3}, "batch_norm_only"),
        ("pretrain", {"batch_norm_only": {"begin": -1}}, "batch_norm_only.begin"),
        ("pretrain", {"batch_norm_only": {"start": 1}}, "unknown key 'start'"),
        ("pretrain", {"small_images": {"until": 4}}, "small_images.until is 4 of 4"),
        ("pretrain", {"small_images": {"until": 2, "share": 1.0}}, "small_images.share"),
        ("pretrain", {"small_images": {"untl": 2}}, "did you mean 'until'"),
        ("finetune", {"small_images": {"until": 2}}, "this stage trains a detector"),
        ("retrain", {"batch_norm_only": {"begin": 1}}, "this stage trains DetNASNet"),
    ],
)
def test_invalid_settings_are_refused(
    stage: str, options: dict[str, Any], message: str, data: Path, tmp_path: Path
) -> None:
    roots = {"data_root": str(data.parent / "detection")}
    if stage == "pretrain":
        roots = {"pretrain_root": str(data)}
    config = load_config(CONFIGS / f"{stage}.py", {**roots, **options}, tmp_path)
    with pytest.raises(UserError, match=message):
        check_training(config)
