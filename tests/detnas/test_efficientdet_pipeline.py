"""A backbone searched under BiFPN and EfficientDet's head, retrained, tested, and scaled."""

import json
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from textwrap import dedent

import pytest
import torch

from detnas.cli import main
from detnas.config import load_config
from detnas.errors import UserError
from detnas.evaluation.complexity import complexity
from detnas.models.backbones import DetNASNet
from detnas.models.checkpoints import load_backbone_weights, read_checkpoint
from search_space.architecture import (
    Architecture,
    macs,
    params,
    parse_architecture,
    parse_scaling,
)
from search_space.compound_scaling import scaling_of

FOUND = "detnasnet-300m-coco-retinanet"
ON_COCO = Path(__file__).parents[2] / "configs/coco_efficientdet"
PAGE = Path(__file__).parents[2] / "docs/efficientdet.md"
D0 = Path(__file__).parents[2] / "configs/d0_and_retinanet"
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
    _scaled_and_retrained(tmp_path, options)


def _scaled_and_retrained(work_dir: Path, options: list[str]) -> None:
    """The found network in the width and depth of D3: exported, trained, tested."""
    file = work_dir / "scaled.json"
    assert main(["export", str(work_dir / "search"), "--scale", "d3", "-o", str(file)]) == 0
    found = Architecture.load(work_dir / "search/best_architecture.json")
    document = json.loads(file.read_text())
    assert document["scaling"] == {"width": 1.2, "depth": 1.4}
    assert document["choices"] == list(found.choice_names)
    assert document["score"] is None
    assert document["provenance"]["supernet_sha256"]
    config, folder = str(CONFIGS / "retrain.py"), work_dir / "scaled"
    options = [*options, f"architecture={file}"]
    train = ["train", config, "--work-dir", str(folder), "--cfg-options", *options]
    assert main([*train, "load_from=None"]) == 0
    checkpoint = read_checkpoint(folder / "final.pth")
    assert checkpoint["meta"]["detnas"]["space"]["name"] == "tiny@1.2x1.4"
    test = ["test", config, str(folder / "final.pth"), "--work-dir", str(folder)]
    assert main([*test, "--cfg-options", *options]) == 0
    assert "coco/bbox_mAP" in json.loads((folder / "test_metrics.json").read_text())


def test_a_detector_as_published_trains_without_weights(experiment: Path, tmp_path: Path) -> None:
    config = str(D0 / "efficientdet_digits.py")
    options = [f"data_root={experiment}/data/detection", "max_iters=2", "num_workers=0"]
    options += ["batch_size=2", "warmup_iters=1"]
    train = ["train", config, "--work-dir", str(tmp_path), "--cfg-options", *options]
    assert main([*train, f"pretrained={tmp_path}/none.pth"]) == 2
    assert not (tmp_path / "final.pth").exists()
    assert main(train) == 0
    assert (tmp_path / "final.pth").is_file()


def test_the_training_of_the_published_models(experiment: Path, tmp_path: Path) -> None:
    """Scale jitter, crop, padding, average of the weights, at a small size on other data."""
    config = tmp_path / "d0.py"
    base = ON_COCO.parent / "efficientdet/efficientdet_d0_coco.py"
    lines = [
        f'_base_ = ["{base}"]',
        'metainfo = dict(_delete_=True, classes=tuple("0123456789"))',
        'train_folder = search_folder = test_folder = "images/"',
        'test_ann_file = "annotations/instances_val.json"',
        f'data_root = "{experiment}/data/detection"',
        "num_classes, image_side, max_iters, warmup_iters = 10, 128, 2, 1",
        "batch_size, num_workers = 2, 0",
    ]
    config.write_text("\n".join(lines))
    train = ["train", str(config), "--work-dir", str(tmp_path / "w")]
    assert main(train) == 0
    test = ["test", str(config), str(tmp_path / "w/final.pth"), "--work-dir", str(tmp_path / "w")]
    assert main(test) == 0
    pipeline = load_config(config).test_dataloader.dataset.pipeline
    pad = next(step for step in pipeline if step["type"] == "Pad")
    assert pad["pad_val"] == {"img": (103.53, 116.28, 123.675)}


def _of_the_page(start: str) -> str:
    """The indented lines of the page from one that begins so, up to the next text."""
    lines = PAGE.read_text(encoding="utf-8").split(f"    {start}", 1)[1].splitlines()
    code = takewhile(lambda line: not line or line.startswith("    "), lines[1:])
    return dedent("\n".join((f"    {start}{lines[0]}", *code)))


def test_the_page_s_config_for_ones_own_data_trains(experiment: Path, tmp_path: Path) -> None:
    folder = tmp_path / "configs/mine"
    folder.mkdir(parents=True)
    (tmp_path / "configs/_base_").symlink_to(ON_COCO.parent / "_base_")
    code, commands = _of_the_page("# configs/mine/d0.py").split("\n\n")[:2]
    (folder / "d0.py").write_text(code)
    assert commands.startswith("detnas train configs/mine/d0.py\ndetnas test")
    options = [f"data_root={experiment}/data/detection", f"classes={tuple('0123456789')}"]
    options += ["num_classes=10", "max_iters=2", "warmup_iters=1", "batch_size=2", "num_workers=0"]
    train = ["train", str(folder / "d0.py"), "--work-dir", str(tmp_path / "w"), "--cfg-options"]
    assert main([*train, *options]) == 0


def test_bifpn_is_a_neck_of_mmdets_own_detectors(tmp_path: Path) -> None:
    config = tmp_path / "retinanet.py"
    code = _of_the_page('_base_ = ["mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"]')
    config.write_text(code)
    (counted,) = complexity(load_config(config), (64, 64))
    assert counted.macs["neck"] > 0


def test_a_scaled_network_is_not_for_a_supernet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scaled.json"
    scaled = replace(parse_architecture(FOUND), scaling=parse_scaling("d3"))
    scaled.save(file)
    assert main(["test", str(CONFIGS / "search.py"), "x.pth", "--architecture", str(file)]) == 2
    assert "is scaled: name the architecture of space 'small'" in capsys.readouterr().err
    assert main(["cost", str(file)]) == 0
    assert f"{macs(scaled):,} MACs" in capsys.readouterr().out


@pytest.mark.parametrize("model", ["d0", "d3", "d7x", 2.5])
def test_one_option_scales_a_found_backbone_with_its_detector(model: str | float) -> None:
    options = {"compound": model, "architecture": FOUND, "pretrained": None}
    config = load_config(ON_COCO / "retrain.py", options)
    (counted,) = complexity(config)
    found = replace(parse_architecture(FOUND), scaling=parse_scaling(model))
    side = scaling_of(model).image_side
    assert counted.size == (side, side)
    assert counted.macs["backbone"] == macs(found, (3, side, side))
    assert counted.params["backbone"] == params(found)
    channels = [stage.channels for stage in found.network.space.stages]
    assert config.model.neck.in_channels == channels[1:]
    classifier = load_config(ON_COCO / "pretrain_subnet.py", options)
    assert classifier.model.backbone == {
        **config.model.backbone,
        "out_indices": (3,),
        "norm_cfg": {"type": "BN"},
    }
    assert classifier.model.neck.in_channels == channels[-1]


def test_two_scalings_that_differ_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "d3.json"
    replace(parse_architecture(FOUND), scaling=parse_scaling("d3")).save(file)
    config = str(ON_COCO / "retrain.py")
    cost = ["cost", "--config", config, "--cfg-options", f"architecture={file}"]
    assert main(cost) == 2
    assert "is scaled already, by width 1.2 and depth 1.4, but `scaling` is 'd0'" in (
        capsys.readouterr().err
    )
    assert main([*cost, "compound=d3"]) == 0
    assert main([*cost, "scaling={'width': 1.2, 'depth': 1.4}"]) == 0


def test_the_supernet_is_not_scaled() -> None:
    config = load_config(ON_COCO / "finetune.py", {"compound": "d3", "pretrained": None})
    assert config.model.neck.in_channels == [160, 320, 640]
    assert config.model.neck.out_channels == 160


def test_weights_of_another_scaling_are_refused(tmp_path: Path) -> None:
    net = DetNASNet(FOUND, scaling="d1")
    file = tmp_path / "weights.pth"
    torch.save({"meta": {"detnas": net.identity()}, "state_dict": net.state_dict()}, file)
    load_backbone_weights(DetNASNet(FOUND, scaling={"width": 1.0, "depth": 1.1}), file, prefix="")
    with pytest.raises(UserError, match=r"is of space 'small@1x1\.1', but the backbone of space"):
        load_backbone_weights(DetNASNet(FOUND), file, prefix="")
