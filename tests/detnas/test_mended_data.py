"""A COCO file that leaves out what it can trains, searches and scores as the complete one does."""

import codecs
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from detnas.cli import main
from detnas.evaluation.metrics import UnroundedCocoMetric
from detnas.models.checkpoints import read_checkpoint

MINIATURE = Path(__file__).parents[1] / "miniature"
PATH = "tiny:0,1,2,3,0,1,2,3,0,1"


def leave_out(file: Path) -> None:
    """Ids from 0, no area, crowd or size; one box of no use more; a byte order mark."""
    content = json.loads(file.read_text(encoding="utf-8"))
    for number, annotation in enumerate(content["annotations"]):
        annotation["id"] = number
        del annotation["area"], annotation["iscrowd"]
    content["annotations"].insert(1, {**content["annotations"][0], "bbox": [5, 5, 0, 9]})
    for image in content["images"]:
        del image["width"], image["height"]
    file.write_bytes(codecs.BOM_UTF8 + json.dumps(content).encode())


@pytest.fixture(scope="module")
def roots(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The demo's scenes, and the same with incomplete annotations."""
    other = tmp_path_factory.mktemp("incomplete") / "detection"
    shutil.copytree(experiment / "data" / "detection", other)
    for file in (other / "annotations").glob("*.json"):
        leave_out(file)
    return experiment / "data" / "detection", other


def test_scores_are_equal_to_the_last_digit(
    experiment: Path,
    roots: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config, weights = MINIATURE / "retinanet/finetune.py", experiment / "finetune/final.pth"
    command = ["test", str(config), str(weights), "--architecture", PATH, "--json"]
    scores: list[Any] = []
    for root in roots:
        options = ["--work-dir", str(tmp_path / "t"), "--cfg-options", f"data_root={root}"]
        assert main([*command, *options]) == 0
        scores.append(json.loads(capsys.readouterr().out))
    assert scores[0] == scores[1]


def test_training_is_equal_to_the_last_bit(
    experiment: Path, roots: tuple[Path, Path], tmp_path: Path
) -> None:
    weights = []
    for number, root in enumerate(roots):
        command = ["train", str(MINIATURE / "retinanet/finetune.py")]
        command += ["--work-dir", str(tmp_path / str(number)), "--cfg-options", f"data_root={root}"]
        command += [f"pretrained={experiment}/pretrain/final.pth", "console_level=ERROR"]
        assert main(command) == 0
        weights.append(read_checkpoint(tmp_path / str(number) / "final.pth")["state_dict"])
    for key, value in weights[0].items():
        assert torch.equal(value, weights[1][key]), key


def test_ground_truth_as_prediction_scores_1(roots: tuple[Path, Path]) -> None:
    """pycocotools takes an annotation with id 0 for one that is not matched."""
    file = roots[1] / "annotations" / "instances_val.json"
    truth = json.loads(file.read_text("utf-8-sig"))
    annotations = [each for each in truth["annotations"] if each["bbox"][2] > 0]
    categories = [each["id"] for each in truth["categories"]]
    metric = UnroundedCocoMetric(ann_file=str(file))
    metric.dataset_meta = {"classes": [each["name"] for each in truth["categories"]]}
    results = []
    for image in truth["images"]:
        own = [each for each in annotations if each["image_id"] == image["id"]]
        boxes = np.array([each["bbox"] for each in own], float).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([categories.index(each["category_id"]) for each in own], int)
        found = {"img_id": image["id"], "bboxes": boxes, "labels": labels}
        results.append(({"img_id": image["id"]}, found | {"scores": np.ones(len(own))}))
    assert metric.compute_metrics(results)["bbox_mAP"] == 1.0
