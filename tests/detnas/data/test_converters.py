"""The dataset converters, on made-up sources a few files large."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from detnas.data.checks import check_disjoint, folder_split
from detnas.data.coco import check_categories, coco_split

SCRIPTS = Path(__file__).parents[3] / "scripts" / "data"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BCCD = load("convert_bccd")
TINY = load("convert_tiny_imagenet")

XML = (
    "<annotation><size><width>640</width><height>480</height><depth>3</depth></size>{}</annotation>"
)
OBJECT = (
    "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin>"
    "<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


@pytest.fixture
def bccd(tmp_path: Path) -> Path:
    """Five images: two to train, one to search, two to test; image 3 has an empty box."""
    source = tmp_path / "BCCD_Dataset"
    root = source / "BCCD"
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for index in range(5):
        boxes = [OBJECT.format("RBC", 10, 20, 40 + index, 60)]
        if index == 3:
            boxes.append(OBJECT.format("Platelets", 5, 5, 5, 9))
        if index == 4:
            boxes.append(OBJECT.format("WBC", 0, 0, 100, 50))
        (root / "Annotations" / f"im_{index}.xml").write_text(XML.format("".join(boxes)))
        file = root / "JPEGImages" / f"im_{index}.jpg"
        Image.new("RGB", (640, 480)).save(file, comment=str(index))  # all files differ
    for name, stems in {"train": "im_2\nim_0\n", "val": "im_1\n", "test": "im_3\nim_4\n"}.items():
        (root / "ImageSets" / "Main" / f"{name}.txt").write_text(stems)
    return source


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Five classes with three training and two val images each."""
    source = tmp_path / "tiny-imagenet-200"
    (source / "val" / "images").mkdir(parents=True)
    labels = []
    for index in (4, 0, 2, 3, 1):
        wnid = f"n0{index}"
        (source / "train" / wnid / "images").mkdir(parents=True)
        for number in range(3):
            path = source / "train" / wnid / "images" / f"{wnid}_{number}.JPEG"
            path.write_bytes(f"train {wnid} {number}".encode())
        for number in range(2):
            name = f"val_{2 * index + number}.JPEG"
            (source / "val" / "images" / name).write_bytes(f"val {name}".encode())
            labels.append(f"{name}\t{wnid}\t0\t32\t44\t62\n")
    (source / "wnids.txt").write_text("n04\nn00\nn02\nn03\nn01\n")
    words = [f"n0{index}\tthing {index}, item\n" for index in range(9)]
    (source / "words.txt").write_text("".join(words))
    (source / "val" / "val_annotations.txt").write_text("".join(labels))
    return source


def test_bccd_becomes_coco(bccd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dest = tmp_path / "out" / "bccd"
    assert BCCD.main([str(bccd), str(dest)]) == 0
    assert "dropped a box without area (Platelets) in im_3.jpg" in capsys.readouterr().out
    files = {name: dest / "annotations" / f"instances_{name}.json" for name in BCCD.SPLITS}
    splits = [coco_split(name, path, dest / "images") for name, path in files.items()]
    names = {split.name: [image.name for image in split.images] for split in splits}
    assert names == {
        "train": ["im_0.jpg", "im_2.jpg"],
        "search": ["im_1.jpg"],
        "val": ["im_3.jpg", "im_4.jpg"],
    }
    check_disjoint(splits)
    check_categories(["RBC", "WBC", "Platelets"], files["train"])
    original = bccd / "BCCD" / "JPEGImages" / "im_3.jpg"
    assert (dest / "images" / "im_3.jpg").read_bytes() == original.read_bytes()

    val = json.loads(files["val"].read_text())
    size = {"width": 640, "height": 480}
    assert val["images"][0] == {"id": 4, "file_name": "im_3.jpg", **size, "license": 1}
    assert [box["id"] for box in val["annotations"]] == [4, 5, 6]
    wbc = {"category_id": 2, "bbox": [0.0, 0.0, 100.0, 50.0], "area": 5000.0, "iscrowd": 0}
    assert val["annotations"][-1] == {"id": 6, "image_id": 5, **wbc}
    joined = json.loads((dest / "annotations" / "instances_trainsearch.json").read_text())
    assert [image["id"] for image in joined["images"]] == [1, 2, 3]


def test_tiny_imagenet_becomes_folders(tiny: Path, tmp_path: Path) -> None:
    dest = tmp_path / "out"
    assert TINY.main([str(tiny), str(dest), "--every", "4", "--per-class", "2"]) == 0
    assert (dest / "classes.txt").read_text() == "n00\tthing 0, item\nn04\tthing 4, item\n"
    train, val = (folder_split(name, dest / name) for name in ("train", "val"))
    names = [image.name for image in train.images]
    assert names == ["n00_0.jpg", "n00_1.jpg", "n04_0.jpg", "n04_1.jpg"]
    assert [image.name for image in val.images] == [
        "val_0.jpg",
        "val_1.jpg",
        "val_8.jpg",
        "val_9.jpg",
    ]
    assert val.images[0].read_bytes() == b"val val_0.JPEG"
    check_disjoint([train, val])


def test_tiny_imagenet_is_converted_completely_by_default(tiny: Path, tmp_path: Path) -> None:
    assert TINY.main([str(tiny), str(tmp_path / "out")]) == 0
    assert len(folder_split("train", tmp_path / "out" / "train").images) == 15


@pytest.mark.parametrize(
    ("module", "origin"), [(BCCD, "Shenggan/BCCD_Dataset"), (TINY, "tiny-imagenet-200")]
)
def test_other_layouts_are_refused(
    module: ModuleType, origin: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert module.main([str(tmp_path), str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert "does not exist; SOURCE must be" in message
    assert origin in message
    assert message.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_faulty_sources_leave_no_output(
    bccd: Path, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bccd / "BCCD" / "Annotations" / "im_4.xml").write_text(
        XML.format(OBJECT.format("cat", 0, 0, 9, 9))
    )
    (tiny / "val" / "images" / "val_9.JPEG").unlink()
    before = sorted(tmp_path.iterdir())
    for module, source, fault in (
        (BCCD, bccd, "category 'cat' is not one of"),
        (TINY, tiny, "val_9"),
    ):
        assert module.main([str(source), str(tmp_path / "out")]) == 2
        assert fault in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_a_nonempty_destination_is_refused(
    bccd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert BCCD.main([str(bccd), str(tmp_path)]) == 2
    assert "not an empty folder; remove it or name another" in capsys.readouterr().err
