"""YOLO data is found as Ultralytics and Roboflow write it, and faults name the file and line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detnas.data.yolo import YoloSet, names_file, yolo_from_folder, yolo_from_yaml, yolo_splits
from detnas.data.yolo_labels import YoloObject, read_yolo_labels
from detnas.errors import UserError

CLASSES = ("cat", "dog")


def image(path: Path, label: str | None = None, labels: str = "labels") -> Path:
    """A small image under `images`, with its label file under `labels`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(path)
    if label is not None:
        parts = [labels if part == "images" else part for part in path.parts]
        target = Path(*parts).with_suffix(".txt")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(label)
    return path


def names(found: YoloSet) -> list[str]:
    return [path.name for path in found.images]


@pytest.mark.parametrize(
    ("folder", "content"),
    [
        ("train/images", "train: ../train/images\nnc: 2\nnames: ['cat', 'dog']\n"),
        ("images/train", "path: .\ntrain: images/train\nnames:\n  0: cat\n  1: dog\n"),
        ("images/train", "train: train.txt\nnames: [cat, dog]\n"),
        ("images/train", "path: elsewhere\ntrain: [images/train]\nnames: [cat, dog]\n"),
    ],
)
def test_a_data_yaml_finds_images_labels_and_names(
    tmp_path: Path, folder: str, content: str
) -> None:
    image(tmp_path / folder / "a.png", "0 0.5 0.5 0.5 0.5\n")
    image(tmp_path / folder / "b.png")
    data = tmp_path / "data.yaml"
    data.write_text(content)
    (tmp_path / "train.txt").write_text("./images/train/a.png\nimages/train/b.png\n")
    found = yolo_from_yaml(data, "train")
    assert names(found) == ["a.png", "b.png"]
    assert found.classes == CLASSES
    assert [label.is_file() for label in found.labels] == [True, False]
    assert yolo_splits(data) == ("train",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("names: [cat]\n", "has no `train`"),
        ("train: nowhere\nnames: [cat]\n", "`train` is nowhere, which does not exist"),
        ("train: images\nnames: [cat, cat]\n", "more than once"),
        ("train: images\nnames: [no]\n", "put it in quotes"),
        ("train: images\nnc: 3\nnames: [cat]\n", "`nc` is 3, but `names` has 1"),
        ("train: images\nnames: {1: cat, 2: dog}\n", "must be 0, 1, 2"),
        ("train: images\nnames: [cat]\n", "has a label file, such as"),
        ("train: [\n", "is not YAML"),
        ("hello\n", "has no keys"),
    ],
)
def test_a_faulty_data_yaml_is_refused(tmp_path: Path, content: str, message: str) -> None:
    image(tmp_path / "images" / "a.png")
    data = tmp_path / "data.yaml"
    data.write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        yolo_from_yaml(data, "train")
    assert str(data) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_images_cannot_share_a_label_file(tmp_path: Path) -> None:
    image(tmp_path / "images" / "a.png", "0 0.5 0.5 0.5 0.5")
    image(tmp_path / "images" / "a.jpg")
    folder = tmp_path / "labels"
    (folder / "classes.txt").write_text("cat\n")
    with pytest.raises(UserError, match="share the label file"):
        yolo_from_folder(folder, tmp_path / "images", folder / "classes.txt")


def test_a_folder_of_labels_takes_its_names_from_beside_or_above(tmp_path: Path) -> None:
    image(tmp_path / "images" / "a.png", "1 0.5 0.5 0.5 0.5\n")
    folder = tmp_path / "labels"
    with pytest.raises(UserError, match=r"classes\.txt"):
        names_file(folder)
    (tmp_path / "obj.names").write_text("cat\ndog\n")
    found = yolo_from_folder(folder, tmp_path / "images", names_file(folder))
    assert found == YoloSet((tmp_path / "images" / "a.png",), (folder / "a.txt",), classes=CLASSES)


def test_labels_are_boxes_or_polygons(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("0 0.5 0.5 0.5 0.2\n\n0 0.5 0.5 0.5 0.2\n1 0.1 0.2 0.5 0.2 0.5 1.001\n")
    box, polygon = read_yolo_labels(path, CLASSES)
    assert box.box == pytest.approx((0.25, 0.4, 0.75, 0.6))
    assert polygon == YoloObject(1, (0.1, 0.2, 0.5, 1.0), (0.1, 0.2, 0.5, 0.2, 0.5, 1.0))
    assert read_yolo_labels(tmp_path / "none.txt", CLASSES) == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 x 0.5", "has 'x' where a number must be"),
        ("0 0.5 0.5 nan 0.5", "has 'nan'"),
        ("2 0.5 0.5 0.5 0.5", "has class 2; there are 2 classes"),
        ("0.5 0.5 0.5 0.5 0.5", r"has class 0\.5"),
        ("-1 0.5 0.5 0.5 0.5", "has class -1"),
        ("0 0.5 0.5 1.2 0.5", r"has the value 1\.2"),
        ("0 320 240 64 48", "has the value 320"),
        ("0 0.5 0.5 0.5", "has 4 columns"),
        ("0 0.5 0.5 0.5 0.5 0.9", "has 6 columns"),
    ],
)
def test_a_faulty_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(f"0 0.5 0.5 0.5 0.5\n{line}\n")
    with pytest.raises(UserError, match=message) as caught:
        read_yolo_labels(path, CLASSES)
    assert str(caught.value).startswith(f"{path}, line 2: ")
