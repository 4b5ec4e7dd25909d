"""Recalibration equals statistics computed from the inputs of every batch norm."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from detnas.config import load_config
from detnas.evaluation.batch_norm import recalibrate

CONFIG = "configs/demo/finetune.py"


def _detector(head_norm: bool) -> Any:
    init_default_scope("mmdet")
    config = load_config(CONFIG, {"pretrained": None, "norm_cfg.type": "BN"})
    if not head_norm:
        config.model.bbox_head.type = "RetinaHead"
        config.model.bbox_head.pop("num_ins")
        config.model.bbox_head.norm_cfg = None
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    model.backbone.set_path((0, 1, 2, 3, 0, 1, 2, 3, 0, 1))
    return model


def _batches(sizes: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    from mmdet.structures import DetDataSample

    generator = torch.Generator().manual_seed(1)
    for size in sizes:
        images = torch.randint(0, 256, (size, 3, 64, 64), generator=generator).to(torch.uint8)
        meta = {"img_shape": (64, 64), "ori_shape": (64, 64), "scale_factor": (1.0, 1.0)}
        yield {
            "inputs": list(images),
            "data_samples": [DetDataSample(metainfo=dict(meta)) for _ in range(size)],
        }


def _norms(model: nn.Module) -> dict[str, nn.BatchNorm2d]:
    return {n: m for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}


def _by_hand(model: Any, sizes: tuple[int, ...]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Weighted averages of the mean and unbiased variance of each norm's inputs."""
    gathered: dict[str, list[tuple[int, torch.Tensor, torch.Tensor]]] = {}
    images = 0

    def hook(name: str) -> Any:
        def gather(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            x = inputs[0].double().transpose(0, 1).flatten(1)
            gathered.setdefault(name, []).append((images, x.mean(1), x.var(1)))

        return gather

    handles = [m.register_forward_pre_hook(hook(n)) for n, m in _norms(model).items()]
    model.eval()
    for norm in _norms(model).values():
        norm.train()
    with torch.no_grad():
        for batch in _batches(sizes):
            images = len(batch["inputs"])
            model(**model.data_preprocessor(batch, False), mode="tensor")
    for handle in handles:
        handle.remove()
    result = {}
    for name, rows in gathered.items():
        total = sum(n for n, _, _ in rows)
        result[name] = tuple(sum(n * row[i] for n, *row in rows) / total for i in (0, 1))
    return result  # type: ignore[return-value]


def test_norms_of_the_path_get_the_weighted_average_over_batches() -> None:
    sizes = (4, 4, 2)
    model = _detector(head_norm=True)
    expected = _by_hand(model, sizes)
    for norm in _norms(model).values():  # earlier values must not matter
        norm.running_mean.fill_(float("nan"))
        norm.running_var.fill_(float("nan"))
    assert recalibrate(model, _batches(sizes)) == len(expected)
    norms = _norms(model)
    assert any(name.startswith("bbox_head") for name in expected)
    for name, (mean, variance) in expected.items():
        torch.testing.assert_close(norms[name].running_mean.double(), mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(norms[name].running_var.double(), variance, rtol=1e-4, atol=1e-5)
    off_path = [n for n in norms if n.startswith("backbone.blocks") and n not in expected]
    assert off_path
    assert all(norms[n].running_mean.isnan().all() for n in off_path)
    assert not any(norm.training for norm in norms.values())
    assert {norm.momentum for norm in norms.values()} == {0.1}


def test_passes_end_at_the_last_norm() -> None:
    model = _detector(head_norm=False)
    head_calls = []
    model.bbox_head.retina_cls.register_forward_hook(lambda *_: head_calls.append(1))
    recalibrate(model, _batches((2, 2, 2)))
    assert len(head_calls) == 3  # the levels of the first pass, which finds the last norm


def test_recalibrating_twice_gives_the_same() -> None:
    model = _detector(head_norm=True)
    recalibrate(model, _batches((3, 2)))
    first = {n: m.running_var.clone() for n, m in _norms(model).items()}
    recalibrate(model, _batches((3, 2)))
    for name, norm in _norms(model).items():
        assert torch.equal(norm.running_var, first[name])


def test_recalibration_without_batches_is_refused() -> None:
    with pytest.raises(ValueError, match="no batch"):
        recalibrate(_detector(head_norm=True), [])
