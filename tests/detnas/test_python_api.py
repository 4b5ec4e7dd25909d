"""`import detnas` in Python: what it exports, without OpenMMLab, and the code of docs/python.md."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

import detnas
from detnas.models import DetNASSupernet
from detnas.networks.checkpoint_file import write_checkpoint

ROOT = Path(__file__).parents[2]
ARCHITECTURE = "tiny:0,1,2,3,0,1,2,3,0,1"
WITHOUT_OPENMMLAB = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("mmengine", "mmcv", "mmdet", "mmpretrain"):
            raise ModuleNotFoundError(f"{name} is not installed", name=name)
sys.meta_path.insert(0, Refuse())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An experiment's folder: an architecture, a supernet's checkpoint and one of a detector."""
    torch.manual_seed(0)
    supernet = DetNASSupernet("tiny")
    supernet.init_weights()
    weights = {f"backbone.{name}": value for name, value in supernet.state_dict().items()}
    log = HistoryBuffer()
    log.update(np.float64(1.5))
    made = tmp_path / "work_dirs" / "cells"
    for stage in ("finetune", "search", "retrain"):
        (made / stage).mkdir(parents=True)
    content = {"state_dict": weights, "meta": {"detnas": supernet.identity()}}
    write_checkpoint({**content, "message_hub": {"loss": log}}, made / "finetune" / "final.pth")
    file = made / "finetune" / "final.pth"
    backbone = detnas.create_backbone(ARCHITECTURE, pretrained=file)
    backbone.architecture.save(made / "search" / "best_architecture.json")
    sliced = {f"backbone.{name}": value for name, value in backbone.state_dict().items()}
    content = {
        "state_dict": {**sliced, "bbox_head.weight": torch.zeros(1)},
        "meta": {"detnas": backbone.identity()},
    }
    write_checkpoint({**content, "message_hub": {"loss": log}}, made / "retrain" / "final.pth")
    return tmp_path


def _run(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr  # no warning
    return done.stdout


def test_the_code_of_the_page_runs_as_printed_without_openmmlab(folder: Path) -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 5
    printed = _run(WITHOUT_OPENMMLAB + "\n".join(blocks), folder)
    assert "[(1, 32, 56, 80), (1, 64, 28, 40), (1, 128, 14, 20), (1, 256, 7, 10)]" in printed
    assert printed.count("loss_rpn_box_reg") == 2
    assert "[32, 64, 128, 256] [4, 8, 16, 32]" in printed
    history = detnas.SearchHistory.read(folder / "work_dirs" / "untrained")
    assert len(history.candidates) == 18


def test_importing_detnas_is_light_and_lists_its_names() -> None:
    heavy = ["torch", "torchvision", "numpy", "mmengine", "mmdet", "detnas.search"]
    _run(
        "import sys, detnas\n"
        f"assert not [name for name in {heavy!r} if name in sys.modules]\n"
        "assert set(detnas.__all__) <= set(dir(detnas))\n"
        "detnas.SearchHistory, detnas.search, detnas.Architecture, detnas.Budget\n"
        "import detnas.search.searching\n"
        "assert detnas.search is sys.modules['detnas.search'] and callable(detnas.search)\n"
        "assert 'torch' not in sys.modules\n",
        ROOT,
    )


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="serch"):
        detnas.serch  # noqa: B018
