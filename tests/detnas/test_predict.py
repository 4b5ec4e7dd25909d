"""`detnas predict`: its boxes are those of a test; files that it names, refuses, does not touch."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detnas.cli import main
from detnas.data.image_list import picture_names


@pytest.fixture
def images(experiment: Path) -> Path:
    """The folder of the test split."""
    return experiment / "data" / "detection" / "images" / "val"


@pytest.fixture
def config(experiment: Path, tmp_path: Path) -> Path:
    """The retrained network's, which gives boxes of any score: it has hardly been trained."""
    path = tmp_path / "all_boxes.py"
    text = (experiment / "retrain" / "retrain.py").read_text()
    path.write_text(f"{text}\nmodel['test_cfg']['score_thr'] = 0.0\n")
    return path


def _predict(experiment: Path, output: Path, *arguments: Path | str) -> int:
    weights = experiment / "retrain" / "final.pth"
    return main(["predict", str(weights), "-o", str(output), *map(str, arguments)])


def _read(output: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((output / "predictions.json").read_text())
    return content


def test_boxes_are_those_of_a_test_wherever_it_runs(
    experiment: Path,
    images: Path,
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tested = ["test", str(config), str(experiment / "retrain" / "final.pth")]
    dump = f"test_evaluator.outfile_prefix={tmp_path}/tested"
    assert main([*tested, "--work-dir", str(tmp_path / "test"), "--cfg-options", dump]) == 0
    annotations = experiment / "data" / "detection" / "annotations" / "instances_val.json"
    coco = json.loads(annotations.read_text())
    categories = {each["id"]: each["name"] for each in coco["categories"]}
    files = {Path(each["file_name"]).name: each["id"] for each in coco["images"]}
    expected = json.loads((tmp_path / "tested.bbox.json").read_text())

    moved = tmp_path / "moved"  # without the data and the search's architecture
    moved.mkdir()
    shutil.copy(experiment / "retrain" / "final.pth", moved)
    shutil.copy(config, moved / "detector.py")
    text = (moved / "detector.py").read_text().replace(str(experiment), "gone")
    (moved / "detector.py").write_text(text)
    monkeypatch.chdir(moved)
    assert main(["predict", "final.pth", str(images), "--score-threshold", "0"]) == 0
    printed = capsys.readouterr().out
    found = _read(Path("predictions"))
    assert len(found["images"]) == len(files) == 4
    for image in found["images"]:
        own = files[Path(image["file"]).name]
        wanted = [each for each in expected if each["image_id"] == own]
        boxes = image["detections"]
        assert len(boxes) == len(wanted) > 10
        assert [b["category"] for b in boxes] == [categories[w["category_id"]] for w in wanted]
        ours = np.array([[*each["bbox"], each["score"]] for each in boxes])
        theirs = np.array([[*each["bbox"], each["score"]] for each in wanted])
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
        assert Image.open(Path("predictions") / image["picture"]).size == (160, 160)
        assert f"{image['file']}    {len(boxes)}  {boxes[0]['category']} " in printed
    assert {each["name"] for each in found["categories"]} == set(categories.values())
    assert not list(moved.glob(".predict-*"))


def test_the_config_beside_the_checkpoint_is_found_and_images_turn_as_exif_asks(
    experiment: Path, images: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "a" / "same.png", tmp_path / "b" / "same.jpg"
    for file in (first, second):
        file.parent.mkdir()
    upright = Image.open(next(images.iterdir())).crop((0, 0, 160, 120))
    upright.save(first)
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.save(second, exif=exif)
    output = tmp_path / "out"
    assert _predict(experiment, output, first, second, first.parent) == 0
    entries = _read(output)["images"]
    assert [each["file"] for each in entries] == [str(first), str(second)]
    assert [(each["width"], each["height"]) for each in entries] == [(160, 120), (120, 160)]
    sizes = [Image.open(output / each["picture"]).size for each in entries]
    assert sizes == [(160, 120), (120, 160)]
    assert all(each["detections"] == [] for each in entries)  # none has a score of 0.3


def test_bad_images_are_all_listed_before_any_work(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, empty = tmp_path / "text.png", tmp_path / "empty"
    text.write_text("no image")
    empty.mkdir()
    output = tmp_path / "deep" / "out"
    assert _predict(experiment, output, tmp_path / "none.png", text, empty) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert [sum(part in line for line in lines) for part in ("none.png", "text.png", "empty")] == [
        *(1, 1, 1)
    ]
    assert not output.parent.exists()


@pytest.mark.parametrize(
    ("checkpoint", "options", "message"),
    [
        ("finetune/final.pth", [], "is of a supernet"),
        ("retrain/none.pth", [], "does not exist"),
        ("data/final.pth", [], "no config with a model beside"),
        ("retrain/final.pth", ["--config", "EXPERIMENT/pretrain/pretrain.py"], "of a classifier"),
        ("retrain/final.pth", ["--config", "EXPERIMENT/finetune/finetune.py"], "is a supernet"),
        ("retrain/final.pth", ["--score-threshold", "1.5"], "it must be from 0 to 1"),
        ("retrain/final.pth", ["--score-threshold", "nan"], "it must be from 0 to 1"),
        ("retrain/final.pth", ["--device", "abacus"], "--device abacus cannot be used"),
    ],
)
def test_what_cannot_detect_is_refused(
    checkpoint: str,
    options: list[str],
    message: str,
    experiment: Path,
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = [option.replace("EXPERIMENT", str(experiment)) for option in options]
    file = experiment / checkpoint
    if checkpoint.startswith("data"):
        file = Path(shutil.copy(experiment / "retrain" / "final.pth", tmp_path / "final.pth"))
    output = tmp_path / "out"
    assert main(["predict", str(file), str(images), "-o", str(output), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not output.exists()


def test_existing_files_are_not_replaced(
    experiment: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = sorted(images.iterdir())[0]
    own = tmp_path / f"{image.stem}.png"
    own.write_text("mine")
    assert _predict(experiment, tmp_path, image) == 2
    assert f"{own} already exists: name another folder with -o" in capsys.readouterr().err
    assert own.read_text() == "mine"
    assert [*tmp_path.iterdir()] == [own]


def test_pictures_of_the_same_name_get_numbers() -> None:
    named = [Path("a/x.jpg"), Path("b/X.png"), Path("b/x_2.png"), Path("c/x.jpg")]
    names = picture_names(named)
    assert names == ["x.png", "X_2.png", "x_2_2.png", "x_3.png"]
