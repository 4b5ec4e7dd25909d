"""Errors of a detector, counted in a case that is known, and the worst images of it."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detnas.evaluation.error_analysis import analyse, recorded_box_evaluations
from detnas.search.detection_errors import read_errors

pytest.importorskip("hotcoco")


def box(image: int, category: int, left: float, **more: Any) -> dict[str, Any]:
    return {
        "image_id": image,
        "category_id": category,
        "bbox": [left, 0.0, 20.0, 20.0],
        "area": 400.0,
        "iscrowd": 0,
        **more,
    }


@pytest.fixture
def evaluated() -> COCOeval:
    truth = COCO()
    objects = [box(1, 3, 0), box(1, 3, 50), box(2, 7, 0), box(3, 7, 0), box(3, 7, 60, iscrowd=1)]
    truth.dataset = {
        "images": [{"id": image, "width": 100, "height": 80} for image in (1, 2, 3)],
        "categories": [{"id": 3, "name": "cell"}, {"id": 7, "name": "<b>"}],
        "annotations": [{**each, "id": number} for number, each in enumerate(objects, 1)],
    }
    truth.createIndex()
    found = [
        box(1, 3, 0, score=0.9),  # right
        box(1, 3, 1, score=0.8),  # a duplicate; the object at 50 is missed
        box(2, 3, 0, score=0.7),  # of the wrong class
        box(2, 7, 70, score=0.6),  # background
        box(3, 7, 12, score=0.5),  # in the wrong place
        box(3, 7, 0, score=0.1),  # right, below the threshold
    ]
    with recorded_box_evaluations() as evaluations:
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluations == [evaluation]
    return evaluation


def test_errors_of_a_known_case(evaluated: COCOeval, tmp_path: Path) -> None:
    Image.new("RGB", (100, 80), "grey").save(tmp_path / "2.png")
    Image.new("RGB", (100, 80), "grey").save(tmp_path / "3.png")
    found = analyse(evaluated, {image: tmp_path / f"{image}.png" for image in (2, 3)})
    assert {each.name: each.count for each in found.types} == {
        "Miss": 1,
        "Loc": 1,
        "Cls": 1,
        "Both": 0,
        "Dupe": 1,
        "Bkg": 1,
    }
    assert found.average_precision == pytest.approx(evaluated.stats[1])
    assert (found.images, found.classes, found.objects) == (3, ("cell", "<b>"), (2, 2))
    assert found.confusion == ((1, 0, 1), (1, 0, 1), (1, 2, 0))
    assert [(each.name, each.missed, each.wrong) for each in found.worst] == [
        ("2.png", 1, 2),
        ("3.png", 1, 1),
    ]
    assert found.worst[0].boxes == ((0.0, 0.0, 20.0, 20.0), (70.0, 0.0, 90.0, 20.0))
    found.save(tmp_path / "errors.json")
    assert read_errors(tmp_path) == found
