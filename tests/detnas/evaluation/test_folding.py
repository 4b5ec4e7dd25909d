"""Batch norm folded into convolutions gives the network's own results, and leaves it as it was."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from torch import nn

from detnas.config import load_config
from detnas.evaluation.evaluator import build_random_model
from detnas.evaluation.folding import folded_batch_norm

CONFIGS = Path(__file__).parents[2] / "miniature"
PATHS = [(0, 1, 2, 3, 0, 1, 2, 3, 0, 1), (3, 3, 2, 2, 1, 1, 0, 0, 3, 2)]


def detector(name: str, tmp_path: Path) -> Any:
    """A detector over a supernet, whose statistics are far from those it begins with."""
    config: Config = load_config(CONFIGS / name / "search.py", {"pretrained": None}, tmp_path)
    torch.manual_seed(0)
    model = build_random_model(config).eval()
    for norm in batch_norms(model):
        norm.running_mean.normal_(std=0.5)  # type: ignore[union-attr]
        norm.running_var.uniform_(0.2, 3.0)  # type: ignore[union-attr]
    return model.requires_grad_(False)


def batch_norms(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


@pytest.mark.parametrize("name", sorted(path.parent.name for path in CONFIGS.glob("*/search.py")))
def test_what_a_detector_computes_is_the_same(name: str, tmp_path: Path) -> None:
    model = detector(name, tmp_path)
    image = torch.randn(1, 3, 96, 128)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    modules = list(model.named_modules())
    for path in PATHS:
        model.backbone.set_path(path)
        features = model.extract_feat(image)
        with folded_batch_norm(model):
            kept = [n for block in model.backbone.active_blocks() for n in batch_norms(block)]
            assert not kept
            assert not batch_norms(model.backbone.stem)
            folded = model.extract_feat(image)
        for one, other in zip(features, folded, strict=True):
            torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-4)
            assert not torch.equal(other, one)
    assert list(model.named_modules()) == modules
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_an_error_within_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    model = detector("retinanet", tmp_path)
    modules = list(model.named_modules())

    def fails() -> None:
        with folded_batch_norm(model):
            assert list(model.named_modules()) != modules
            raise RuntimeError("within")

    with pytest.raises(RuntimeError, match="within"):
        fails()
    assert list(model.named_modules()) == modules
