"""The bootstrap over images computes what pycocotools computes on the resampled images."""

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import pytest
from mmdet.evaluation.metrics import coco_metric
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detnas.evaluation.bootstrap import (
    RESAMPLES,
    average_precision,
    recorded_coco_evaluations,
    resampled_images,
    resampled_scores,
)

IMAGES, CATEGORIES = 12, (3, 7, 8, 9)  # nothing is of 8, and in no image is an object of 9


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with redirect_stdout(io.StringIO()):
        yield


def boxes(rng: np.random.Generator, count: int) -> list[list[float]]:
    corners = rng.uniform(0, 100, (count, 2))
    return np.hstack([corners, rng.uniform(5, 60, (count, 2))]).round(2).tolist()  # type: ignore[no-any-return]


def scene(rng: np.random.Generator, digits: int = 9) -> tuple[list[Any], list[Any]]:
    """Objects and detections by image: moved objects, false ones, crowds; few digits give ties."""
    objects, detections = [], []
    for image in range(IMAGES):
        for box in boxes(rng, int(rng.integers(0, 6))):
            category = int(rng.choice(CATEGORIES[:2]))
            crowd = int(rng.random() < 0.1)
            objects.append((image, category, box, crowd))
            for _ in range(rng.integers(0, 3)):
                moved = (np.array(box) + rng.normal(0, 3, 4)).clip(1).tolist()
                detections.append((image, category, moved, round(float(rng.random()), digits)))
        for box in boxes(rng, 3):
            category = int(rng.choice([3, 7, 9]))
            detections.append((image, category, box, round(float(rng.random()), digits)))
    return objects, detections


def evaluation(objects: list[Any], detections: list[Any], images: list[int]) -> COCOeval:
    """pycocotools on a list of images, which may hold one several times."""
    truth, found = COCO(), []
    truth.dataset = {
        "images": [{"id": place} for place in range(len(images))],
        "categories": [{"id": category} for category in CATEGORIES],
        "annotations": [],
    }
    for place, image in enumerate(images):
        for _, category, box, crowd in (one for one in objects if one[0] == image):
            annotation = {"image_id": place, "category_id": category, "bbox": box}
            annotation |= {"area": box[2] * box[3], "iscrowd": crowd}
            truth.dataset["annotations"].append(
                {**annotation, "id": len(truth.dataset["annotations"]) + 1}
            )
        for _, category, box, score in (one for one in detections if one[0] == image):
            found.append({"image_id": place, "category_id": category, "bbox": box, "score": score})
    truth.createIndex()
    made = coco_metric.COCOeval(truth, truth.loadRes(found), "bbox")
    made.params.maxDets = [100, 300, 1000]
    made.evaluate()
    made.accumulate()
    made.summarize()
    return made


@pytest.mark.parametrize("digits", [1, 9])
@pytest.mark.parametrize("seed", range(3))
def test_precision_on_all_images_is_pycocotools_own(seed: int, digits: int) -> None:
    whole = evaluation(*scene(np.random.default_rng(seed), digits), list(range(IMAGES)))
    each_once = np.ones((1, IMAGES), np.int64)
    for threshold, place in ((None, 0), (0.5, 1), (0.75, 2)):
        assert average_precision(whole, each_once, threshold)[0] == whole.stats[place]


@pytest.mark.parametrize("seed", range(3))
def test_resampled_precision_is_pycocotools_on_the_resampled_images(seed: int) -> None:
    rng = np.random.default_rng(seed)
    objects, detections = scene(rng)
    whole = evaluation(objects, detections, list(range(IMAGES)))
    counts = np.stack([np.bincount(rng.integers(0, IMAGES, IMAGES), minlength=IMAGES)] * 2)
    counts[1] = rng.permutation(counts[1])
    for count, value in zip(counts, average_precision(whole, counts), strict=True):
        images = np.repeat(np.arange(IMAGES), count).tolist()
        resampled = evaluation(objects, detections, images).stats[0]
        assert value == pytest.approx(resampled, abs=1e-12)
        assert value != pytest.approx(whole.stats[0], abs=1e-4)


def test_sets_without_objects_have_no_precision() -> None:
    objects, detections = [(0, 3, [1, 1, 9, 9], 0)], [(0, 3, [1, 1, 9, 9], 0.5)]
    whole = evaluation(objects, detections, [0, 1])
    values = average_precision(whole, np.array([[2, 0], [0, 2]]))
    assert values[0] == 1
    assert np.isnan(values[1])


def test_sets_of_images_are_the_same_for_all_networks() -> None:
    counts = resampled_images(7)
    assert counts.shape == (RESAMPLES, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert (counts == resampled_images(7)).all()
    assert len(np.unique(counts, axis=0)) > RESAMPLES / 2


def test_scores_are_resampled_where_the_metric_is_a_coco_precision() -> None:
    with recorded_coco_evaluations() as evaluations:
        objects, detections = scene(np.random.default_rng(0))
        made = evaluation(objects, detections, list(range(IMAGES)))
    assert evaluations == [made]
    assert coco_metric.COCOeval is COCOeval
    metrics = {"coco/bbox_mAP": round(made.stats[0], 3), "coco/bbox_mAP_50": made.stats[1]}
    values = resampled_scores(evaluations, metrics, "coco/bbox_mAP")
    assert list(values) == [f"resample/{number}" for number in range(RESAMPLES)]
    assert np.mean(list(values.values())) == pytest.approx(made.stats[0], abs=0.1)
    assert resampled_scores(evaluations, metrics, "coco/bbox_mAP_50") != values
    assert resampled_scores(evaluations, {"accuracy/top1": 50.0}, "accuracy/top1") == {}
    assert resampled_scores(evaluations, {"pascal_voc/mAP": 0.5}, "pascal_voc/mAP") == {}
    other = {"coco/bbox_mAP": made.stats[0] + 0.01}  # of another evaluation
    assert resampled_scores(evaluations, other, "coco/bbox_mAP") == {}
    nothing = resampled_scores([], {"coco/bbox_mAP": 0.0}, "coco/bbox_mAP")
    assert set(nothing.values()) == {0.0}
