"""A supernet under BiFPN and EfficientDet's head: fine-tuned, searched, retrained, tested."""

import json
from pathlib import Path

from detnas.cli import main
from detnas.models.checkpoints import read_checkpoint

CONFIGS = Path(__file__).parents[1] / "miniature/efficientdet"


def test_a_backbone_is_searched_under_efficientdet(experiment: Path, tmp_path: Path) -> None:
    options = [f"data_root={experiment}/data/detection", "pretrained=None"]
    command = ["run", str(CONFIGS), "--work-dir", str(tmp_path), "--quiet", "--cfg-options"]
    assert main([*command, *options]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["evaluations"] == 4
    assert "coco/bbox_mAP" in summary["test_metrics"]
    weights = read_checkpoint(tmp_path / "retrain/final.pth")["state_dict"]
    assert any(name.startswith("neck.cells.1.nodes.0.weights") for name in weights)
    assert main([*command, *options]) == 0  # finished: nothing runs again
