"""What is not COCO: VOC from the split to the scored search, and searches on classification."""

import json
from pathlib import Path

import cv2
import pytest
import torch
from mmdet.datasets import VOCDataset

from detnas.cli import main
from detnas.data.digits import DigitCounts, write_digits
from detnas.models.checkpoints import read_checkpoint
from detnas.search.history.reading import SearchHistory
from search_space.architecture import Architecture

MINIATURE = Path(__file__).parents[1] / "miniature"
CLASSES = VOCDataset.METAINFO["classes"]
COUNTS = DigitCounts(train_crops=24, val_crops=10, train_scenes=10, search_scenes=2, val_scenes=4)


def _write_voc(scenes: Path, devkit: Path) -> None:
    """The demo's scenes as a VOCdevkit: train in both years, val as VOC2007's test."""
    for split, year, name, part in (
        ("train", 2007, "trainval", slice(0, 5)),
        ("train", 2012, "trainval", slice(5, 10)),
        ("val", 2007, "test", slice(0, None)),
    ):
        content = json.loads((scenes / f"annotations/instances_{split}.json").read_text())
        root = devkit / f"VOC{year}"
        for folder in ("ImageSets/Main", "Annotations", "JPEGImages"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        ids = []
        for image in content["images"][part]:
            ids.append(f"{split}_{image['id']:06d}")
            pixels = cv2.imread(str(scenes / "images" / image["file_name"]))
            cv2.imwrite(str(root / "JPEGImages" / f"{ids[-1]}.jpg"), pixels)
            boxes = [a for a in content["annotations"] if a["image_id"] == image["id"]]
            (root / "Annotations" / f"{ids[-1]}.xml").write_text(_xml(image, boxes))
        (root / "ImageSets/Main" / f"{name}.txt").write_text("\n".join(ids) + "\n")


def _xml(image: dict[str, int], boxes: list[dict[str, list[float]]]) -> str:
    objects = ""
    for box in boxes:
        x, y, width, height = box["bbox"]
        sides = {"xmin": x + 1, "ymin": y + 1, "xmax": x + width, "ymax": y + height}
        bounds = "".join(f"<{side}>{int(value)}</{side}>" for side, value in sides.items())
        name = CLASSES[box["category_id"] % 10]
        objects += f"<object><name>{name}</name><difficult>0</difficult><bndbox>{bounds}</bndbox>"
        objects += "</object>"
    size = f"<size><width>{image['width']}</width><height>{image['height']}</height></size>"
    return f"<annotation>{size}{objects}</annotation>"


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment's folder with a VOCdevkit whose search split `detnas split` carved."""
    folder = tmp_path_factory.mktemp("voc")
    write_digits(folder / "digits", counts=COUNTS)
    devkit = folder / "data" / "VOCdevkit"
    _write_voc(folder / "digits" / "detection", devkit)
    lists = [str(devkit / f"VOC{year}/ImageSets/Main/trainval.txt") for year in (2007, 2012)]
    command = ["split", *lists, "--take", "4", "--seed", "0", "-o", str(devkit / "splits")]
    assert main(command) == 0
    return folder


def test_voc_is_split_trained_searched_and_scored(
    voc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(MINIATURE / "voc_retinanet"), "--work-dir", str(voc), "--quiet"]) == 0
    rows = SearchHistory.read(voc / "search" / "history.db").rows
    assert [row.status for row in rows] == ["done", "done"]
    assert all(0 <= row.metrics["pascal_voc/mAP"] <= 1 for row in rows)
    capsys.readouterr()
    command = [
        "test",
        str(MINIATURE / "voc_retinanet/finetune.py"),
        str(voc / "finetune/final.pth"),
    ]
    path = ["--architecture", "tiny:" + ",".join("0" * 10), "--json"]
    assert main([*command, "--work-dir", str(voc / "test"), *path]) == 0
    assert "pascal_voc/mAP" in json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("overlap", "splits 'train' and 'search' share"),
        ("classes", "class 'aeroplane'.*|'bicycle'"),
        ("image", r"1 of \d images that do not exist"),
        ("number", "num_classes is 7"),
        ("list", "nowhere.txt does not exist"),
    ],
)
def test_refusals_of_voc(
    what: str, expected: str, voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    options = [f"data_root={voc}/data/VOCdevkit", f"search.supernet={voc}/finetune/final.pth"]
    train = "train_dataloader.dataset.datasets.0"
    if what == "overlap":
        options += [f"{train}.ann_file=splits/VOC2007_trainsearch.txt"]
        options += ["train_dataloader.dataset.datasets.1.ann_file=splits/VOC2012_trainsearch.txt"]
    elif what == "classes":
        options += ["metainfo={'classes':('person','dog')}"]
    elif what == "image":
        source = (voc / "data/VOCdevkit/splits/VOC2007_train.txt").read_text()
        (tmp_path / "list.txt").write_text(source + "absent\n")
        options += [f"{train}.ann_file={tmp_path}/list.txt"]
    elif what == "number":
        options += ["num_classes=7"]
    else:
        options += [f"{train}.ann_file=nowhere.txt"]
    command = ["search", str(MINIATURE / "voc_retinanet/search.py"), "--work-dir"]
    assert main([*command, str(tmp_path / "work"), "--cfg-options", *options]) == 2
    printed = capsys.readouterr().err
    assert re.search(expected, printed), printed
    assert not (tmp_path / "work").exists()


def test_a_search_on_classification_and_the_found_networks_training(tmp_path: Path) -> None:
    """As ClsNASNet is made: pretraining, a search by top-1, the found network on classification."""
    write_digits(tmp_path / "data", counts=COUNTS)
    folder = MINIATURE / "classification"
    assert main(["run", str(folder), "--work-dir", str(tmp_path), "--quiet"]) == 0
    rows = SearchHistory.read(tmp_path / "search" / "history.db").rows
    assert all(0 <= row.metrics["accuracy/top1"] <= 100 for row in rows)
    found = Architecture.load(tmp_path / "best_architecture.json")
    meta = read_checkpoint(tmp_path / "pretrain_subnet" / "final.pth")["meta"]["detnas"]
    assert meta["kind"] == "subnet"
    assert meta["choices"] == list(found.choices)


@pytest.mark.parametrize("inherited", [True, False])
def test_the_found_network_inherits_on_request_or_starts_fresh(
    inherited: bool, tmp_path: Path
) -> None:
    from detnas.config import load_config
    from detnas.training.runner import DetNASRunner

    write_digits(tmp_path / "data", counts=COUNTS)
    config = ["train", str(MINIATURE / "classification/pretrain.py")]
    options = [
        f"pretrain_root={tmp_path}/data/classification",
        "max_iters=2",
        "path_warmup_iters=0",
    ]
    assert main([*config, "--work-dir", str(tmp_path / "pretrain"), "--cfg-options", *options]) == 0
    path = (0, 1, 2, 3, 0, 1, 2, 3, 0, 1)
    options = {
        "architecture": "tiny:" + ",".join(map(str, path)),
        "pretrain_root": f"{tmp_path}/data/classification",
        "console_level": "ERROR",
    }
    if not inherited:
        options["pretrained"] = None
    config = load_config(
        MINIATURE / "classification/pretrain_subnet.py", options, tmp_path / "pretrain_subnet"
    )
    runner = DetNASRunner.from_cfg(config)
    runner._init_model_weights()
    supernet = read_checkpoint(tmp_path / "pretrain" / "final.pth")["state_dict"]
    for block, choice in enumerate(path):
        own = runner.model.state_dict()[f"backbone.blocks.{block}.main.0.weight"]
        theirs = supernet[f"backbone.blocks.{block}.{choice}.main.0.weight"]
        assert torch.equal(own, theirs) == inherited
