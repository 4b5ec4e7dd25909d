"""The configs that docs/configs.md shows resolve and build."""

import shutil
import textwrap
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, init_default_scope

from detnas.config import load_config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configs.md").read_text(encoding="utf-8")
CLASSIFIER = """\
_base_ = [
    "../_base_/models/classifier.py",
    "../_base_/backbones/supernet.py",
    "../_base_/preprocessing/imagenet.py",
    "../_base_/datasets/digit_crops.py",
    "../_base_/schedules/classification.py",
    "../_base_/runtime.py",
]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder configs/mine beside a copy of configs/_base_."""
    shutil.copytree(ROOT / "configs" / "_base_", tmp_path / "configs" / "_base_")
    folder = tmp_path / "configs" / "mine"
    folder.mkdir()
    return folder


def _code_after(start: str) -> str:
    """The indented lines of the page that follow a text."""
    lines = PAGE.split(start)[1].splitlines()
    code = takewhile(lambda line: not line or line.startswith("    "), lines)
    return textwrap.dedent("\n".join(code))


def _build(path: Path) -> tuple[Any, Any]:
    config = load_config(path, {"pretrained": None})
    model = dict(config.model)
    if "data_preprocessor" in config:
        model["data_preprocessor"] = config.data_preprocessor
    init_default_scope("mmdet")
    with torch.device("meta"):
        return config, MODELS.build(ConfigDict(model))


def test_a_space_of_ones_own(folder: Path) -> None:
    code = _code_after("which replaces the inherited value):\n")
    assert code.strip().startswith("space = dict(")
    (folder / "pretrain.py").write_text(CLASSIFIER + code, encoding="utf-8")
    config, model = _build(folder / "pretrain.py")
    assert model.backbone.space.num_choices == 3
    assert (config.stage_channels, config.last_channels) == ([32, 64, 128, 256], 256)
    assert model.head.in_channels == 256
