"""Which errors a tested detector makes, by hotcoco: TIDE's types, confusion, the worst images.

The types are those of Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection
Errors" (ECCV 2020). The gain of a type is what average precision would be more without it; gains
do not add up.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image, ImageOps
from pycocotools.cocoeval import COCOeval

from detnas.evaluation.matching import hot_evaluation
from detnas.search.detection_errors import DetectionErrors, ErrorType
from detnas.search.shown_images import Box, ShownImage

IOU, BACKGROUND_IOU = 0.5, 0.1
SCORE_THRESHOLD = 0.3
WORST = 8
MOST_DETECTIONS = 100
"""In an image: pycocotools' own limit for mAP."""

TYPES = ("Miss", "Loc", "Cls", "Both", "Dupe", "Bkg")
_LONGEST_SIDE = 480
_JPEG_QUALITY = 70
Found = Mapping[str, Any]


@contextmanager
def recorded_box_evaluations() -> Iterator[list[COCOeval]]:
    """Within the block, the list gets each evaluation of boxes by pycocotools' or hotcoco's API."""
    made: list[COCOeval] = []
    summarize = COCOeval.summarize

    def record(self: COCOeval) -> None:
        summarize(self)
        if self.params.iouType == "bbox":
            made.append(self)

    with mock.patch.object(COCOeval, "summarize", record):
        yield made


def can_analyse() -> bool:
    """Whether hotcoco is installed."""
    return find_spec("hotcoco") is not None


def analyse(evaluation: COCOeval, paths: Mapping[int, Path]) -> DetectionErrors:
    """The errors of a detector on the split that it was evaluated on.

    Args:
        evaluation: of boxes, from `recorded_box_evaluations`.
        paths: the file of each image, by its id; images without one are not among the worst.
    """
    import hotcoco

    fast = hot_evaluation(evaluation)
    fast.evaluate()
    tide = fast.tide_errors(pos_thr=IOU, bg_thr=BACKGROUND_IOU)
    confusion = fast.confusion_matrix(
        iou_thr=IOU, max_det=MOST_DETECTIONS, min_score=SCORE_THRESHOLD
    )
    truth: dict[int, list[Found]] = {}
    for each in evaluation.cocoGt.dataset["annotations"]:
        if not each.get("iscrowd") and not each.get("ignore"):
            truth.setdefault(each["image_id"], []).append(each)
    labels = {category: number for number, category in enumerate(confusion["cat_ids"])}
    counts = np.bincount(
        [labels[each["category_id"]] for found in truth.values() for each in found],
        minlength=len(labels),
    )
    return DetectionErrors(
        images=len(evaluation.params.imgIds),
        iou=IOU,
        background_iou=BACKGROUND_IOU,
        score_threshold=SCORE_THRESHOLD,
        classes=tuple(confusion["cat_names"]),
        objects=tuple(map(int, counts)),
        average_precision=float(tide["ap_base"]),
        types=tuple(
            ErrorType(name, int(tide["counts"][name]), float(tide["delta_ap"][name]))
            for name in TYPES
        ),
        confusion=tuple(tuple(map(int, row)) for row in confusion["matrix"]),
        worst=tuple(_worst_images(evaluation, paths, truth, labels)),
        made_by=f"hotcoco {hotcoco.__version__}",
    )


def _worst_images(
    evaluation: COCOeval,
    paths: Mapping[int, Path],
    truth: Mapping[int, Sequence[Found]],
    labels: Mapping[int, int],
) -> Iterator[ShownImage]:
    """Those with the lowest F1 score, of these first the ones with the most errors."""
    fast = hot_evaluation(evaluation, SCORE_THRESHOLD)
    fast.evaluate()
    summaries = fast.image_diagnostics(iou_thr=IOU)["img_summary"]

    def badness(image: int) -> tuple[float, int, int]:
        summary = summaries[image]
        return summary["f1"], -(summary["fp"] + summary["fn"]), image

    wrong = [image for image, each in summaries.items() if each["fp"] + each["fn"]]
    found: dict[int, list[Found]] = {}
    for each in evaluation.cocoDt.dataset["annotations"]:
        if each["score"] >= SCORE_THRESHOLD:
            found.setdefault(each["image_id"], []).append(each)
    for image in sorted((image for image in wrong if image in paths), key=badness)[:WORST]:
        detections = sorted(found.get(image, ()), key=lambda each: -each["score"])
        objects = truth.get(image, ())
        yield shown_image(
            paths[image],
            boxes=[_corners(each["bbox"]) for each in detections],
            labels=[labels[each["category_id"]] for each in detections],
            scores=[float(each["score"]) for each in detections],
            truth_boxes=[_corners(each["bbox"]) for each in objects],
            truth_labels=[labels[each["category_id"]] for each in objects],
            missed=int(summaries[image]["fn"]),
            wrong=int(summaries[image]["fp"]),
        )


def _corners(box: Sequence[float]) -> Box:
    left, top, width, height = box
    return left, top, left + width, top + height


def shown_image(
    path: Path,
    boxes: Iterable[Sequence[float]],
    labels: Iterable[int],
    scores: Iterable[float],
    truth_boxes: Iterable[Sequence[float]],
    truth_labels: Iterable[int],
    missed: int | None = None,
    wrong: int | None = None,
) -> ShownImage:
    """An image file with its boxes, as `ShownImage` has them, and a copy of at most 480 pixels."""
    with Image.open(path) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    width, height = picture.size
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    copy = io.BytesIO()
    picture.save(copy, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return ShownImage(
        name=path.name,
        width=width,
        height=height,
        jpeg=copy.getvalue(),
        boxes=tuple(map(_rounded, boxes)),
        labels=tuple(map(int, labels)),
        scores=tuple(round(float(score), 4) for score in scores),
        truth_boxes=tuple(map(_rounded, truth_boxes)),
        truth_labels=tuple(map(int, truth_labels)),
        missed=missed,
        wrong=wrong,
    )


def _rounded(box: Sequence[float]) -> Box:
    left, top, right, bottom = (round(float(side), 1) for side in box)
    return left, top, right, bottom
