"""A bootstrap over images: COCO average precision on sets of images drawn with replacement.

The matches of detections and ground truth of each image do not change with the set of images. They
are taken from pycocotools, and only the precision over all images is computed again.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
from mmdet.evaluation.metrics import coco_metric
from numpy.typing import NDArray

from detnas.search.finalists import RESAMPLE_KEY

RESAMPLES = 200
IMAGE_BOOTSTRAP = 5  # number of this random use; CALIBRATION has 4
ALL_AREAS = 0  # the first of pycocotools' ranges of area
AVERAGE_PRECISION = re.compile(r"(?:.*/)?(bbox|segm)_mAP(?:_(50|75))?")
STATS = {None: 0, "50": 1, "75": 2}  # the places of the precisions in pycocotools' summary


@contextmanager
def recorded_coco_evaluations() -> Iterator[list[Any]]:
    """Within the block, the list gets the pycocotools evaluations of mmdet's CocoMetric."""
    made: list[Any] = []

    class Recorded(coco_metric.COCOeval):  # type: ignore[misc, name-defined]
        def summarize(self) -> None:
            super().summarize()
            made.append(self)

    with mock.patch.object(coco_metric, "COCOeval", Recorded):
        yield made


def resampled_scores(
    evaluations: Sequence[Any], metrics: Mapping[str, float], score: str
) -> dict[str, float]:
    """A COCO average precision on `RESAMPLES` resampled sets of images.

    The sets are the same for every network that is scored on the same images, so that differences
    between networks are paired.

    Args:
        evaluations: from `recorded_coco_evaluations`.
        metrics: of the same evaluation.
        score: the metric's name, such as "coco/bbox_mAP".
    Returns:
        By the names "resample/0", "resample/1", ...; NaN where no object is in the set. Empty if
        `score` is not a COCO average precision.
    """
    known = AVERAGE_PRECISION.fullmatch(score)
    if known is None or score not in metrics:
        return {}
    if not evaluations and metrics[score] == 0:  # nothing was detected
        return {f"{RESAMPLE_KEY}{number}": 0.0 for number in range(RESAMPLES)}
    for evaluation in evaluations:
        if _gave(evaluation, known[1], STATS[known[2]], metrics[score]):
            images = len(evaluation.params.imgIds)
            threshold = None if known[2] is None else int(known[2]) / 100
            values = average_precision(evaluation, resampled_images(images), threshold)
            return {f"{RESAMPLE_KEY}{number}": float(ap) for number, ap in enumerate(values)}
    return {}


def _gave(evaluation: Any, kind: str, place: int, value: float) -> bool:
    """Whether a metric's value is of this evaluation, which CocoMetric may have rounded."""
    params = evaluation.params
    is_same_kind = params.iouType == kind and params.useCats == 1
    return bool(is_same_kind and abs(evaluation.stats[place] - value) < 6e-4)


def resampled_images(images: int) -> NDArray[np.int64]:
    """How often each image is in each set, (RESAMPLES, images); the same in every process."""
    rng = np.random.default_rng([images, IMAGE_BOOTSTRAP])
    drawn = rng.integers(0, images, (RESAMPLES, images))
    return np.stack([np.bincount(row, minlength=images) for row in drawn])


def average_precision(
    evaluation: Any, counts: NDArray[np.int64], threshold: float | None = None
) -> NDArray[np.float64]:
    """The average precision of sets of images, as pycocotools computes it.

    The order of detections with equal scores is arbitrary, here as there. On all images once it is
    the same, and the values are equal.

    Args:
        evaluation: a COCOeval after `evaluate`; its areas begin with all areas.
        counts: how often each image is in each set, (sets, images).
        threshold: of the IoU; None averages over those of the evaluation.
    Returns:
        One value per set; NaN where no object is in the set.
    """
    params = evaluation.params
    thresholds = np.asarray(params.iouThrs)
    used = np.full(len(thresholds), True) if threshold is None else thresholds == threshold
    # pycocotools' own choice: 100 detections an image for mAP, the most for mAP_50 and mAP_75.
    detections = 100 if threshold is None else params.maxDets[-1]
    images, areas = len(params.imgIds), len(params.areaRng)
    categories = []
    for number in range(len(params.catIds)):
        start = (number * areas + ALL_AREAS) * images
        category = _category(evaluation.evalImgs[start : start + images], detections, used)
        if category is not None:
            categories.append(category)
    values = []
    for count in counts:
        found = [category.precision(count, params.recThrs) for category in categories]
        present = [precision for precision in found if precision is not None]
        values.append(np.mean(np.stack(present, axis=-1)) if present else np.nan)
    return np.array(values)


@dataclass(frozen=True)
class _Category:
    """The detections of one category on all images, the highest score first.

    Attributes:
        image: the image of each detection, (detections,).
        counted: whether it is a true or a false positive at each threshold, (thresholds,
            detections); some are ignored.
        right: for each threshold the true positives, as indices of detections.
        objects: the number of objects to find in each image, (images,).
    """

    image: NDArray[np.int64]
    counted: NDArray[np.bool_]
    right: Sequence[NDArray[np.int64]]
    objects: NDArray[np.int64]

    def precision(
        self, count: NDArray[np.int64], recalls: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """Interpolated precision, (thresholds, recalls); None without objects.

        The interpolation takes the highest precision at a recall or a higher one, and that is
        always just after a true positive, and after the last of its copies.
        """
        objects = int(count @ self.objects)
        if objects == 0:
            return None
        weight = count[self.image]
        seen = np.cumsum(self.counted * weight, axis=1)
        rows = []
        for right, counted in zip(self.right, seen, strict=True):
            found = np.cumsum(weight[right])
            precision = found / (counted[right] + np.spacing(1))
            highest = np.maximum.accumulate(precision[::-1])[::-1]
            reached = np.append(highest, 0.0)  # 0 beyond the last recall
            rows.append(reached[np.searchsorted(found / objects, recalls, side="left")])
        return np.stack(rows)


def _category(
    evaluated: Sequence[Mapping[str, Any] | None], detections: int, used: NDArray[np.bool_]
) -> _Category | None:
    """The category of pycocotools' results by image; None if all are None."""
    present = [(image, one) for image, one in enumerate(evaluated) if one is not None]
    if not present:
        return None
    scores = [np.asarray(one["dtScores"][:detections], float) for _, one in present]
    order = np.argsort(-np.concatenate(scores), kind="mergesort")  # pycocotools' order of ties
    places = [image for image, _ in present]
    matched, ignored = (
        np.concatenate([one[key][used, :detections] for _, one in present], axis=1)[:, order] > 0
        for key in ("dtMatches", "dtIgnore")
    )
    objects = np.zeros(len(evaluated), np.int64)
    objects[places] = [np.count_nonzero(one["gtIgnore"] == 0) for _, one in present]
    return _Category(
        image=np.repeat(places, [len(each) for each in scores])[order],
        counted=~ignored,
        right=[np.flatnonzero(row) for row in matched & ~ignored],
        objects=objects,
    )
