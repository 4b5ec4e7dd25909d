"""Annotations of each format become COCO with the same boxes, and the images are found."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detnas.data.coco import coco_split
from detnas.data.conversion import as_coco, used_classes
from detnas.errors import UserError

XML = (
    "<annotation><filename>{name}</filename><size><width>40</width><height>20</height></size>"
    "{objects}</annotation>"
)
OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin>"
    "<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 40, 3), 90, np.uint8)).save(path)
    return path


def xml(path: Path, *objects: tuple[Any, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(OBJECT.format(*each) for each in objects)
    path.write_text(XML.format(name=f"{path.stem}.jpg", objects=text))


def coco(path: Path, *names: str, unused: tuple[str, ...] = ()) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = {"width": 40, "height": 20}
    keys = {"category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}
    content = {
        "images": [{"id": i, "file_name": name, **sizes} for i, name in enumerate(names, 1)],
        "annotations": [{"id": i, "image_id": i, **keys} for i in range(1, len(names) + 1)],
        "categories": [
            *({"id": 10 + i, "name": name} for i, name in enumerate(unused)),
            {"id": 1, "name": "cell", "supercategory": "cells"},
        ],
    }
    path.write_text(json.dumps(content))
    return path


def boxes(path: Path) -> list[tuple[str, str, list[float], int]]:
    """File name, class, box and crowd of each annotation."""
    content = json.loads(path.read_text())
    files = {each["id"]: each["file_name"] for each in content["images"]}
    classes = {each["id"]: each["name"] for each in content["categories"]}
    return [
        (files[a["image_id"]], classes[a["category_id"]], a["bbox"], a["iscrowd"])
        for a in content["annotations"]
    ]


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    root = tmp_path / "VOC2007"
    for name in ("a", "b", "c"):
        image(root / "JPEGImages" / f"{name}.jpg")
    xml(root / "Annotations" / "a.xml", ("dog", 0, 1, 1, 10, 20), ("cat", 1, 5, 5, 9, 9))
    xml(root / "Annotations" / "b.xml")
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "train.txt").write_text("a\nb\n")
    return root


@pytest.mark.parametrize("given", ["ImageSets/Main/train.txt", "Annotations", "."])
def test_voc_becomes_coco_as_mmdet_reads_it(voc: Path, tmp_path: Path, given: str) -> None:
    output = tmp_path / "out" / "all.json"
    found = as_coco(voc / given, None, output)
    assert (found.format, found.ann_file) == ("voc", output)
    assert found.image_root.samefile(voc / "JPEGImages")
    assert boxes(output) == [("a.jpg", "dog", [0, 0, 9, 19], 0), ("a.jpg", "cat", [4, 4, 4, 4], 1)]
    assert [c["name"] for c in json.loads(output.read_text())["categories"]] == ["cat", "dog"]
    assert any("1 difficult objects are crowds" in note for note in found.notes)
    assert len(coco_split("train", output, found.image_root).images) == 2


def test_an_xml_file_without_its_image_is_named(voc: Path, tmp_path: Path) -> None:
    (voc / "JPEGImages" / "a.jpg").unlink()
    with pytest.raises(UserError, match=r"a\.xml: none of the 2 images"):
        as_coco(voc / "Annotations", None, tmp_path / "out" / "all.json")
    assert not (tmp_path / "out").exists()


def test_yolo_becomes_coco_in_pixels(tmp_path: Path) -> None:
    image(tmp_path / "images" / "train" / "a.png")
    image(tmp_path / "images" / "train" / "b.png")
    labels = tmp_path / "labels" / "train"
    labels.mkdir(parents=True)
    (labels / "a.txt").write_text(
        "1 0.5 0.5 0.5 0.5\n0 0.25 0 0.5 0 0.5 1\n1 0.5 0.5 0 0.1\n"  # the last has no width
    )
    (tmp_path / "data.yaml").write_text("train: images/train\nnames: [zebra, ape]\n")
    (tmp_path / "labels" / "classes.txt").write_text("zebra\nape\n")
    output = tmp_path / "all.json"
    for given in (tmp_path / "data.yaml", tmp_path, labels, tmp_path / "labels"):
        found = as_coco(given, None, output)
        assert (found.format, found.image_root) == ("yolo", tmp_path / "images" / "train")
        assert boxes(output) == [
            ("a.png", "ape", [10, 5, 20, 10], 0),
            ("a.png", "zebra", [10, 0, 10, 20], 0),
        ]
        content = json.loads(output.read_text())
        assert content["annotations"][1]["segmentation"] == [[10, 0, 20, 0, 20, 20]]
        assert content["annotations"][1]["area"] == 100
        assert [each["name"] for each in content["categories"]] == ["zebra", "ape"]
        assert len(found.notes) == 2
        coco_split("train", output, found.image_root)


@pytest.mark.parametrize(
    ("ann_file", "folder"),
    [
        ("annotations/instances_train.json", "images"),
        ("annotations/instances_train2017.json", "train2017"),
        ("train/_annotations.coco.json", "train"),
        ("all.json", "JPEGImages"),
    ],
)
def test_the_usual_places_of_images_are_tried(tmp_path: Path, ann_file: str, folder: str) -> None:
    image(tmp_path / folder / "a.jpg")
    path = coco(tmp_path / ann_file, "a.jpg", unused=("cells",))
    found = as_coco(path, None, tmp_path / "never.json")
    assert (found.format, found.ann_file, found.notes) == ("coco", path, ())
    assert found.image_root == tmp_path / folder
    assert used_classes(path) == (("cell",), ("cells",))
    assert not (tmp_path / "never.json").exists()


def test_the_message_says_which_folder_has_the_images(tmp_path: Path) -> None:
    image(tmp_path / "data" / "train" / "a.jpg")
    by_folder = coco(tmp_path / "by_folder.json", "train/a.jpg")
    plain = coco(tmp_path / "plain.json", "a.jpg")
    cases = [
        (by_folder, tmp_path / "data" / "train", f"--images {tmp_path / 'data'} has them"),
        (plain, tmp_path / "data", f"--images {tmp_path / 'data' / 'train'} has them"),
        (coco(tmp_path / "x.json", "x.jpg"), tmp_path / "data", "add them"),
        (coco(tmp_path / "y.json", "y/a.jpg"), tmp_path / "data", "correct the file names"),
    ]
    for path, images, message in cases:
        with pytest.raises(UserError, match="1 of 1 images") as caught:
            as_coco(path, images, tmp_path / "never.json")
        assert message in str(caught.value)
    with pytest.raises(UserError, match="with --images"):
        as_coco(plain, None, tmp_path / "never.json")


def test_what_is_no_annotation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a\n")
    (tmp_path / "empty").mkdir()
    for name in ("train.txt", "empty"):
        with pytest.raises(UserError, match=r"name a COCO file.*ImageSets"):
            as_coco(tmp_path / name, None, tmp_path / "all.json")
    with pytest.raises(UserError, match="does not exist"):
        as_coco(tmp_path / "none.json", None, tmp_path / "all.json")
    assert not (tmp_path / "all.json").exists()
