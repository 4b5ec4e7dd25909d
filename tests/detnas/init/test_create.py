"""`detnas init`, `check` and `run`: from annotations of three formats to a compared network."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from PIL import Image

from detnas.cli import main
from detnas.config import load_config
from detnas.data.digits import DigitCounts, write_digits
from detnas.errors import UserError
from detnas.init import create as creation
from detnas.init.create import Request, create
from detnas.init.schedule import Pace
from detnas.stages.experiment import Experiment, check_experiment

COUNTS = DigitCounts(train_crops=10, val_crops=10, train_scenes=40, search_scenes=2, val_scenes=2)
FAST = Pace(160 * 160, 0.01, 0.05, [0.05] * 3, 0.001, 0.002)
SHORT = (
    *("max_iters=2", "warmup_iters=1", "path_warmup_iters=1", "num_workers=0"),
    *("search.strategy.generations=1", "search.strategy.population=2"),
    *("search.strategy.mutations=1", "search.strategy.crossovers=0", "search.strategy.parents=1"),
    *("search.evaluator.calibration_images=4", "path_validation=None"),
)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `photos/` and `labels.json`, as somebody may have it."""
    folder = tmp_path_factory.mktemp("own")
    write_digits(folder / "digits", counts=COUNTS)
    detection = folder / "digits" / "detection"
    shutil.copytree(detection / "images", folder / "photos")
    shutil.copyfile(detection / "annotations" / "instances_train.json", folder / "labels.json")
    return folder


@pytest.fixture
def measured() -> Iterator[None]:
    """A made-up pace: measuring takes ten seconds, and is done in one test."""
    with mock.patch.object(creation, "measure_pace", return_value=FAST):
        yield


def _coco(file: Path) -> dict:
    content: dict = json.loads(file.read_text(encoding="utf-8"))
    return content


def _request(own: Path, folder: Path, **changes: object) -> Request:
    values = {"train": own / "labels.json", "images": own / "photos", "space": "tiny"}
    return Request(folder=folder, **(values | changes))  # type: ignore[arg-type]


def test_from_annotations_to_a_compared_network(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ["--train", str(own / "labels.json"), "--images", str(own / "photos")]
    # Time enough for a machine that does something else as well: it is measured.
    assert main(["init", "mine", *data, "--space", "tiny", "--time", "2h"]) == 0
    told = capsys.readouterr().out
    assert told == (tmp_path / "mine" / "README.md").read_text(encoding="utf-8")
    assert "COCO, 40 images, the median one 160x160" in told
    assert main(["check", "mine"]) == 0
    told = capsys.readouterr().out
    for text in ("largest", "memory", "disk", "latency", "finetune", "all that is left  about "):
        assert text in told
    assert not (tmp_path / "work_dirs").exists()
    assert main(["run", "mine", "--quiet", "--cfg-options", *SHORT]) == 0
    told = capsys.readouterr()
    assert "of the run about" in told.err  # from the first stage on, by the forecast
    assert "a random network" in told.out
    assert (tmp_path / "work_dirs" / "mine" / "report.html").is_file()


@pytest.mark.usefixtures("measured")
def test_splits_share_no_image_and_lose_none(own: Path, tmp_path: Path) -> None:
    create(_request(own, tmp_path / "mine"))
    parts = {
        split: {
            image["file_name"]
            for image in _coco(tmp_path / f"mine/annotations/instances_{split}.json")["images"]
        }
        for split in ("train", "search", "val", "trainsearch")
    }
    assert parts["trainsearch"] == parts["train"] | parts["search"]
    assert not parts["train"] & parts["search"]
    assert not parts["trainsearch"] & parts["val"]
    given = {image["file_name"] for image in _coco(own / "labels.json")["images"]}
    assert parts["trainsearch"] | parts["val"] == given


@pytest.mark.usefixtures("measured")
def test_val_of_the_user_is_kept_apart(own: Path, tmp_path: Path) -> None:
    content = _coco(own / "labels.json")
    parts = {"train": content["images"][:30], "val": content["images"][30:]}
    for name, images in parts.items():
        ids = {image["id"] for image in images}
        kept = [each for each in content["annotations"] if each["image_id"] in ids]
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps({**content, "images": images, "annotations": kept}))
    files = {"train": tmp_path / "train.json", "val": tmp_path / "val.json"}
    text = create(_request(own, tmp_path / "mine", **files))
    assert "train 24, search 6, val 10 images; search carved out" in text
    check_experiment(Experiment(tmp_path / "mine", tmp_path / "work", {}))
    renamed = _coco(tmp_path / "val.json")
    renamed["categories"][0]["name"] = "zero"
    (tmp_path / "val.json").write_text(json.dumps(renamed))
    with pytest.raises(UserError, match="has no class '0'"):
        create(_request(own, tmp_path / "other", **files))


@pytest.mark.usefixtures("measured")
def test_a_data_yaml_may_name_val(own: Path, tmp_path: Path) -> None:
    data = _as_yolo(own, tmp_path / "given")
    for part in ("images", "labels"):
        (tmp_path / "given" / part / "val").mkdir()
        moved = sorted((tmp_path / "given" / part / "train").iterdir())[:10]
        for file in moved:
            file.rename(tmp_path / "given" / part / "val" / file.name)
    with data.open("a") as file:
        file.write("val: images/val\n")
    for given in (data, data.parent):
        name = "of_file" if given.is_file() else "of_folder"
        text = create(_request(own, tmp_path / name, train=given, images=None))
        assert "train 24, search 6, val 10 images" in text
        assert "; search carved out" in text


@pytest.mark.usefixtures("measured")
def test_images_of_one_camera_are_split_all_the_same(own: Path, tmp_path: Path) -> None:
    shutil.copytree(own / "photos", tmp_path / "photos")
    images = sorted(path for path in (tmp_path / "photos").rglob("*") if path.is_file())
    content = _coco(own / "labels.json")
    names = [tmp_path / "photos" / image["file_name"] for image in content["images"]]
    for file in names[:17]:
        if file != names[0]:
            shutil.copyfile(names[0], file)
    assert len(images) >= len(names)
    request = _request(own, tmp_path / "mine", images=tmp_path / "photos")
    assert "many images show nearly the same" in create(request)


@pytest.mark.usefixtures("measured")
def test_a_folder_can_be_moved(own: Path, tmp_path: Path) -> None:
    create(_request(own, tmp_path / "mine"))
    (tmp_path / "mine").rename(tmp_path / "moved")
    checked = check_experiment(Experiment(tmp_path / "moved", tmp_path / "work", {}))
    assert list(checked) == ["pretrain", "finetune", "search", "retrain", "test", "compare"]


def _as_yolo(own: Path, folder: Path) -> Path:
    content = _coco(own / "labels.json")
    names = [category["name"] for category in content["categories"]]
    numbers = {category["id"]: number for number, category in enumerate(content["categories"])}
    lines: dict[int, list[str]] = {}
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    for each in content["annotations"]:
        (x, y, w, h), (width, height) = each["bbox"], sizes[each["image_id"]]
        box = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
        row = [numbers[each["category_id"]], *(f"{side:.6f}" for side in box)]
        lines.setdefault(each["image_id"], []).append(" ".join(map(str, row)))
    for part in ("images", "labels"):
        (folder / part / "train").mkdir(parents=True)
    for image in content["images"]:
        name = Path(image["file_name"]).name
        shutil.copyfile(own / "photos" / image["file_name"], folder / "images" / "train" / name)
        label = folder / "labels" / "train" / Path(name).with_suffix(".txt")
        label.write_text("\n".join(lines.get(image["id"], [])) + "\n", encoding="utf-8")
    data = folder / "data.yaml"
    data.write_text(f"train: images/train\nnames: {names}\n", encoding="utf-8")
    return data


def _as_voc(own: Path, folder: Path) -> Path:
    content = _coco(own / "labels.json")
    names = {category["id"]: category["name"] for category in content["categories"]}
    for part in ("Annotations", "JPEGImages"):
        (folder / part).mkdir(parents=True)
    for image in content["images"]:
        stem = Path(image["file_name"]).stem
        Image.open(own / "photos" / image["file_name"]).convert("RGB").save(
            folder / "JPEGImages" / f"{stem}.jpg", quality=95
        )
        objects = ""
        for each in content["annotations"]:
            if each["image_id"] == image["id"]:
                x, y, w, h = each["bbox"]
                corners = {"xmin": x + 1, "ymin": y + 1, "xmax": x + w, "ymax": y + h}
                box = "".join(f"<{key}>{value}</{key}>" for key, value in corners.items())
                name = names[each["category_id"]]
                objects += f"<object><name>{name}</name><bndbox>{box}</bndbox></object>"
        size = f"<width>{image['width']}</width><height>{image['height']}</height>"
        text = f"<annotation><size>{size}</size>{objects}</annotation>"
        (folder / "Annotations" / f"{stem}.xml").write_text(text, encoding="utf-8")
    return folder / "Annotations"


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("write", [_as_yolo, _as_voc])
def test_other_formats_give_the_same_experiment(write: object, own: Path, tmp_path: Path) -> None:
    file = write(own, tmp_path / "given")  # type: ignore[operator]
    images = tmp_path / "given" / "JPEGImages" if file.is_dir() else None
    create(_request(own, tmp_path / "mine", train=file, images=images))
    create(_request(own, tmp_path / "coco"))
    found, wanted = (
        load_config(tmp_path / name / "search.py", None, tmp_path / "work" / "search")
        for name in ("mine", "coco")
    )
    assert found.classes == wanted.classes
    boxes = [
        sum(
            len(_coco(tmp_path / f"{name}/annotations/instances_{split}.json")["annotations"])
            for split in ("trainsearch", "val")
        )
        for name in ("mine", "coco")
    ]
    assert boxes[0] == boxes[1]
    check_experiment(Experiment(tmp_path / "mine", tmp_path / "work", {}))


@pytest.mark.usefixtures("measured")
def test_what_the_user_asks_for_is_in_the_files(own: Path, tmp_path: Path) -> None:
    supernet = {"pretrained": "none", "budgets": ["macs=36e6..40e6"]}
    text = create(_request(own, tmp_path / "mine", stock={"resnet18": "none"}, **supernet))
    assert "36,000,000 <= macs <= 40,000,000" in text
    assert not (tmp_path / "mine" / "pretrain.py").exists()
    checked = check_experiment(Experiment(tmp_path / "mine", tmp_path / "work", {}))
    assert list(checked) == ["finetune", "search", "retrain", "test", "compare"]
    config = load_config(tmp_path / "mine" / "search.py", None, tmp_path / "work" / "search")
    assert config.search.budgets == [
        {"cost": "macs", "lower": 36e6, "upper": 40e6, "input_size": (3, 224, 224)}
    ]
    stock = load_config(tmp_path / "mine" / "resnet18.py", None, tmp_path / "work" / "stock")
    retrain = load_config(tmp_path / "mine" / "retrain.py", None, tmp_path / "work" / "retrain")
    assert stock.max_iters == retrain.max_iters
    assert stock.model.backbone.depth == 18


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize(
    "detector", ["atss", "faster-rcnn", "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py"]
)
def test_other_detectors(detector: str, own: Path, tmp_path: Path) -> None:
    create(_request(own, tmp_path / "mine", detector=detector))
    check_experiment(Experiment(tmp_path / "mine", tmp_path / "work", {}))


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": Path("absent.json")}, "absent.json does not exist"),
        ({"images": Path("absent")}, "absent"),
        ({"detector": "retinnet"}, "retinnet is not known: did you mean 'retinanet'"),
        ({"space": "tinny"}, "tinny"),
        ({"budgets": ["macs=1e3"]}, "macs"),
        ({"pretrained": "crop"}, "--pretrained crop: it may be crops, none"),
        ({"stock": {"resnet51": None}}, "--stock resnet51 is not known"),
        ({"stock": {"resnet50": "absent.pth"}}, "absent.pth: this file does not exist"),
        ({"seconds": 5.0}, "is too short"),
        ({"seed": -1}, "--seed is -1"),
        ({"images": Path("photos{space}")}, "quotes, braces"),
    ],
)
def test_mistakes_leave_nothing(
    change: dict, message: str, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message.replace("'", ".")):
        create(_request(own, tmp_path / "mine", **change))
    assert os.listdir(tmp_path) == []  # noqa: PTH208


@pytest.mark.usefixtures("measured")
def test_masks_are_needed_by_detectors_of_masks(own: Path, tmp_path: Path) -> None:
    create(_request(own, tmp_path / "mine", detector="mask-rcnn"))
    content = _coco(own / "labels.json")
    for each in content["annotations"]:
        del each["segmentation"]
    (tmp_path / "boxes.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UserError, match="has no masks, which mask-rcnn needs"):
        create(
            _request(own, tmp_path / "other", train=tmp_path / "boxes.json", detector="mask-rcnn")
        )
    assert not (tmp_path / "other").exists()


def test_a_folder_with_something_in_it_is_refused(own: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="exists and is not an empty folder"):
        create(_request(own, tmp_path / "mine"))
    assert os.listdir(tmp_path / "mine") == ["notes.txt"]  # noqa: PTH208


def test_all_problems_at_once(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mock.patch.object(creation, "measure_pace", return_value=FAST):
        create(_request(own, tmp_path / "mine"))
    shutil.rmtree(tmp_path / "mine" / "crops")
    (tmp_path / "mine" / "annotations" / "instances_val.json").write_text("{}")
    command = ["check", str(tmp_path / "mine"), "--work-dir", str(tmp_path / "work")]
    assert main([*command, "--cfg-options", "macs_budget=1", "warmup_iters=-1"]) == 2
    lines = capsys.readouterr().err.splitlines()
    for mistake in ("crops", "instances_val.json", "budget"):
        assert any(mistake in line for line in lines), (mistake, lines)
    assert all(line.startswith("detnas check: error: ") for line in lines)
    assert len(lines) == len(set(lines))
    assert not (tmp_path / "work").exists()
