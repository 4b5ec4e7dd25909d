"""hotcoco gives the arrays of pycocotools to the last digit: crowds, ties, masks, empty images."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmdet.evaluation.metrics import coco_metric
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detnas.evaluation.matching import FastCOCOeval, fast_matching
from detnas.evaluation.metrics import UnroundedCocoMetric

pytest.importorskip("hotcoco")

SIZE = 60
CASES = range(1000)


def random_case(seed: int, kind: str) -> tuple[COCO, COCO]:
    """Ground truth and detections of a few images, some of them empty."""
    rng = np.random.default_rng(seed)
    categories = [{"id": 2 * k + 1, "name": str(k)} for k in range(rng.integers(1, 5))]
    images = [{"id": 3 * i + 1, "height": SIZE, "width": SIZE} for i in range(rng.integers(1, 9))]
    truths, found = [], []

    def category() -> int:
        return int(rng.choice([each["id"] for each in categories]))

    for image in images:
        here = []
        for _ in range(rng.integers(0, 7)):
            box = [*rng.integers(0, SIZE // 2, 2), *rng.integers(1, SIZE // 2, 2)]
            here.append(
                {
                    "id": len(truths) + len(here) + 1,
                    "image_id": image["id"],
                    "category_id": category(),
                    "iscrowd": int(rng.random() < 0.15),
                    "area": float(box[2] * box[3]),
                    **shape(box, kind),
                }
            )
        truths += here
        for _ in range(rng.integers(0, 30)):
            box = [*rng.integers(0, SIZE // 2, 2), *rng.integers(1, SIZE // 2, 2)]
            match = category()
            if here and rng.random() < 0.7:
                near = here[rng.integers(len(here))]
                box = [
                    max(1, side + step)
                    for side, step in zip(near["bbox"], rng.integers(-3, 4, 4), strict=True)
                ]
                match = near["category_id"]
            tied = rng.random() < 0.5
            score = rng.integers(0, 12) / 12 if tied else rng.random()
            found.append(
                {"image_id": image["id"], "category_id": match, "score": float(np.float32(score))}
                | {
                    key: value
                    for key, value in shape(box, kind).items()
                    if kind == key or key != "bbox"
                }
            )
    truth = COCO()
    truth.dataset = {"images": images, "annotations": truths, "categories": categories}
    truth.createIndex()
    return truth, truth.loadRes(found) if found else None


def shape(box: Any, kind: str) -> dict[str, Any]:
    """A box, and its mask if masks are compared."""
    x, y, width, height = (int(side) for side in box)
    result: dict[str, Any] = {"bbox": [float(x), float(y), float(width), float(height)]}
    if kind == "segm":
        mask = np.zeros((SIZE, SIZE), np.uint8, order="F")
        mask[y : y + height, x : x + width] = 1
        mask[y : y + height // 2, x : x + width // 2] = 0
        encoded = masks.encode(mask)
        result["segmentation"] = {"size": encoded["size"], "counts": encoded["counts"].decode()}
    return result


def random_box_case(seed: int) -> tuple[COCO, COCO]:
    return random_case(seed, "bbox")


@pytest.mark.parametrize(("kind", "cases"), [("bbox", len(CASES)), ("segm", 20)])
def test_arrays_and_summary_equal_those_of_pycocotools(
    kind: str, cases: int, capsys: pytest.CaptureFixture[str]
) -> None:
    compared = 0
    for seed in range(cases):
        truth, found = random_case(seed, kind)
        if found is None:
            continue
        results = []
        for evaluate in (COCOeval, FastCOCOeval):
            evaluation = evaluate(truth, found, kind)
            evaluation.params.useCats = int(seed % 5 != 0)
            if seed % 2:
                evaluation.params.maxDets = [100, 300, 1000]  # as mmdet has it
                evaluation.params.imgIds = evaluation.params.imgIds[::-1]
            evaluation.evaluate()
            evaluation.accumulate()
            if seed % 5:
                evaluation.summarize()
            results.append(evaluation)
        theirs, ours = results
        for name in ("precision", "recall", "scores"):
            np.testing.assert_array_equal(ours.eval[name], theirs.eval[name], f"{name}, {seed}")
        np.testing.assert_array_equal(ours.stats, theirs.stats)
        compared += 1
    assert compared > 0.9 * cases


def test_only_pycocotools_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with fast_matching():
        assert coco_metric.COCOeval is FastCOCOeval
    assert coco_metric.COCOeval is COCOeval
    other = type("Other", (COCOeval,), {})
    monkeypatch.setattr(coco_metric, "COCOeval", other)
    with fast_matching():
        assert coco_metric.COCOeval is other


def results_of(truth: COCO, found: COCO | None) -> list[Any]:
    """What CocoMetric keeps of each image; labels are places of the categories."""
    places = {each["id"]: place for place, each in enumerate(truth.dataset["categories"])}
    results = []
    for image in truth.getImgIds():
        here = [] if found is None else found.loadAnns(found.getAnnIds(imgIds=[image]))
        boxes = np.array([each["bbox"] for each in here], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        prediction = {
            "img_id": image,
            "bboxes": boxes,
            "scores": np.array([each["score"] for each in here], np.float32),
            "labels": np.array([places[each["category_id"]] for each in here], int),
        }
        results.append(({"img_id": image, "width": SIZE, "height": SIZE}, prediction))
    return results


def metrics_of(truth: COCO, results: Any, file: Path, **options: Any) -> dict[str, float]:
    """The metric's values for ground truth that is in a file."""
    file.write_text(json.dumps(truth.dataset), encoding="utf-8")
    metric = UnroundedCocoMetric(ann_file=str(file), **options)
    metric.dataset_meta = {"classes": [each["name"] for each in truth.dataset["categories"]]}
    return metric.compute_metrics(results)


def test_the_metric_is_that_of_mmdet_with_files_and_pycocotools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth, found = random_case(5, "bbox")
    results = results_of(truth, found)
    asked = {"metric": ["bbox", "proposal"], "classwise": True}

    def metrics(**options: Any) -> dict[str, float]:
        return metrics_of(truth, results, tmp_path / "truth.json", **asked, **options)

    ours = metrics()
    with_files = metrics(outfile_prefix=str(tmp_path / "results"))
    assert (tmp_path / "results.bbox.json").is_file()
    monkeypatch.setattr(coco_metric, "COCOeval", type("Theirs", (COCOeval,), {}))
    theirs = metrics(outfile_prefix=str(tmp_path / "theirs"))
    assert ours == with_files == theirs
    assert 0 < ours["bbox_mAP"] < 1


def test_boxes_that_are_never_records_score_as_those_of_pycocotools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "truth.json"
    cases = [
        (truth, results_of(truth, found)) for truth, found in map(random_box_case, CASES[:200])
    ]
    ours = [metrics_of(truth, results, file) for truth, results in cases]
    monkeypatch.setattr(coco_metric, "COCOeval", type("Theirs", (COCOeval,), {}))
    theirs = [metrics_of(truth, results, file) for truth, results in cases]
    assert ours == theirs
    assert sum(0 < each["bbox_mAP"] < 1 for each in ours) > 0.8 * len(cases)
