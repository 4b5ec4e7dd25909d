"""Multiply-adds and parameters of whole models: by part, of two paths, of published ones."""

import json
from pathlib import Path

import pytest

from detnas.cli import main
from detnas.config import load_config
from detnas.evaluation.complexity import LARGEST, SMALLEST, complexity, image_size
from search_space.cost import macs_table, params_table
from search_space.spaces import get_space

ROOT = Path(__file__).parents[3]
EFFICIENTDET = ROOT / "configs/efficientdet"


@pytest.mark.parametrize(
    ("model", "params", "macs", "with_activations"),
    [
        ("d0", 3.9, 2.46e9, 2.54e9),
        ("d5", 33.7, 133.2e9, 134.1e9),
        ("d7x", 77.0, 405.9e9, 410e9),
    ],
)
def test_published_detectors(
    model: str, params: float, macs: float, with_activations: float
) -> None:
    (found,) = complexity(load_config(EFFICIENTDET / f"efficientdet_{model}_coco.py"))
    total = sum(found.macs.values())
    assert sum(found.params.values()) / 1e6 == pytest.approx(params, rel=0.02)
    assert total == pytest.approx(macs, rel=0.001)
    assert total == found.torch_macs
    assert total + found.activated == pytest.approx(with_activations, rel=0.02)


def test_a_supernet_is_counted_at_its_two_ends() -> None:
    config = load_config(ROOT / "tests/miniature/retinanet/finetune.py")
    found = complexity(config, (128, 128))
    assert [each.what for each in found] == [SMALLEST, LARGEST]
    space = get_space("tiny")
    table, params = macs_table(space, (3, 128, 128)), params_table(space)
    assert [each.macs["backbone"] for each in found] == [table.min, table.max]
    assert found[0].macs["neck"] == found[1].macs["neck"]
    cheapest = [min(row, key=row.__getitem__) for row in table.entries]
    assert found[0].params["backbone"] == params.of(cheapest)


@pytest.mark.parametrize("folder", ["faster_rcnn", "mask_rcnn", "retinanet"])
def test_heads_of_every_detector_are_counted(folder: str) -> None:
    config = load_config(ROOT / f"tests/miniature/{folder}/finetune.py")
    width, height = config.image_scale
    assert image_size(config) == (height, width)
    found = complexity(config, (64, 96))[0]
    heads = [name for name in found.macs if name.endswith("head")]
    assert heads
    assert all(found.macs[name] > 0 for name in heads)


def test_the_command_prints_a_table_or_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(ROOT / "configs/demo/pretrain.py")
    assert main(["cost", "--config", config]) == 0
    printed = capsys.readouterr().out
    assert "smallest path at 48x48" in printed
    assert [line.split()[0] for line in printed.splitlines()[2:6]] == [
        "backbone",
        "neck",
        "head",
        "all",
    ]
    assert main(["cost", "--config", config, "--input-size", "64", "64", "--json"]) == 0
    assert [each["size"] for each in json.loads(capsys.readouterr().out)] == [[64, 64]] * 2
    for arguments, message in (
        (["--config", config, "--input-size", "0", "9"], "--input-size is [0, 9]"),
        (["tiny:0,0,0,0,0,0,0,0,0,0", "--cfg-options", "a=1"], "--cfg-options needs --config"),
        (["--config", str(tmp_path / "none.py")], "none.py does not exist"),
    ):
        assert main(["cost", *arguments]) == 2
        assert message in capsys.readouterr().err


def test_transposed_convolutions_count() -> None:
    config = load_config(ROOT / "tests/miniature/mask_rcnn/finetune.py")
    for found in complexity(config, (64, 96)):
        assert sum(found.macs.values()) == found.torch_macs


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        ("configs/demo/retrain.py", [], "no such architecture file"),
        ("configs/demo/retrain.py", ["architecture=5"], "architecture is 5: give a file"),
        ("configs/demo_efficientdet/finetune.py", ["graph=5"], "graph is 5; it must be a name"),
        (
            "configs/demo_efficientdet/finetune.py",
            ["model.neck.start_level=1"],
            "unexpected keyword argument 'start_level'",
        ),
        (
            "configs/demo_efficientdet/finetune.py",
            ["model.neck.in_channels=[32,64,128,256]", "pyramid_levels=4"],
            "BiFPN has 4 inputs, and got 3 maps",
        ),
    ],
)
def test_what_cannot_be_counted_is_told_in_one_line(
    config: str, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["cost", "--config", str(ROOT / config)]
    assert main(command + (["--cfg-options", *options] if options else [])) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1


def test_padding_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    config = str(ROOT / "tests/miniature/efficientdet/finetune.py")
    command = ["cost", "--config", config, "--input-size"]
    assert main([*command, "63", "96"]) == 0
    assert "at 64x96, padded from 63x96" in capsys.readouterr().out
    assert main([*command, "64", "96", "--json"]) == 0
    first, _ = json.loads(capsys.readouterr().out)
    assert first["all"]["macs"] == sum(first["macs"].values())
    assert main([*command, "2000000", "64"]) == 2
    assert "at most 1,000,000 pixels a side" in capsys.readouterr().err
