"""What `detnas init` says of a COCO file: classes, boxes and their sizes."""

import json
from pathlib import Path

import pytest

from detnas.data.statistics import class_lines, coco_statistics


@pytest.fixture
def ann_file(tmp_path: Path) -> Path:
    images = [
        {"id": number, "file_name": f"{number}.jpg", "width": width, "height": 480}
        for number, width in enumerate((640, 640, 320))
    ]
    boxes = [(0, 2, (0, 0, 10, 10)), (0, 2, (0, 0, 40, 10)), (1, 2, (5, 5, 30, 30))]
    boxes.append((1, 4, (5, 5, 50, 50)))
    annotations = [
        {"id": number, "image_id": image, "category_id": category, "bbox": box, "area": 1.0}
        for number, (image, category, box) in enumerate(boxes, 1)
    ]
    annotations.append(
        {"id": 9, "image_id": 1, "category_id": 2, "bbox": (0, 0, 300, 300), "iscrowd": 1}
    )
    categories = [{"id": 7, "name": "all"}, {"id": 2, "name": "cat"}, {"id": 4, "name": "dog"}]
    file = tmp_path / "labels.json"
    content = {"images": images, "annotations": annotations, "categories": categories}
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def test_counts_and_sizes(ann_file: Path) -> None:
    found = coco_statistics(ann_file, ann_file.parent)
    assert (found.classes, found.unused) == (("cat", "dog"), ("all",))
    assert found.boxes == (3, 1)  # the crowd does not count
    assert found.medians == (20.0, 50.0)
    assert (found.images, found.empty) == (3, 1)
    assert (found.sides, found.longest) == ((640, 480), 640)
    assert not found.has_masks


def test_many_classes_are_cut_short(ann_file: Path) -> None:
    found = coco_statistics(ann_file, ann_file.parent)
    assert class_lines(found, most=1)[1:] == ["... and 1 more classes"]
    assert "3 boxes, the median one 20 pixels" in class_lines(found)[0]
