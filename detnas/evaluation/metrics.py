"""COCO average precision at full resolution, for ranking candidates."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
from mmdet.evaluation.metrics import CocoMetric, coco_metric
from mmdet.registry import METRICS
from mmengine.fileio import dump as mmengine_dump

from detnas.evaluation import mended_annotations  # noqa: F401 - changes what CocoMetric reads
from detnas.evaluation.matching import boxes_evaluated, fast_matching, is_fast

PRECISIONS = ("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l")
"""What CocoMetric reports of boxes, in the order of pycocotools' summary."""


@METRICS.register_module()
class UnroundedCocoMetric(CocoMetric):
    """mmdet's CocoMetric without its rounding to three decimals.

    Candidates of one generation often differ by less than 0.001. A network that detects nothing
    scores 0; CocoMetric omits the metric. Arguments are those of CocoMetric.
    """

    cat_ids: Any
    img_ids: Any

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """The metrics of CocoMetric in double precision."""
        if self._scores_boxes_alone() and is_fast():
            return self._box_metrics([found for _, found in results])
        with ExitStack() as stack:
            # CocoMetric calls the builtin `round`, which a name in its module can shadow.
            stack.enter_context(mock.patch.object(coco_metric, "round", _unrounded, create=True))
            if not self.use_mp_eval:
                stack.enter_context(fast_matching())
            if not self.format_only and self.outfile_prefix is None:
                stack.enter_context(_results_in_memory())
            metrics = {
                key: float(value) if isinstance(value, np.floating) else value
                for key, value in super().compute_metrics(results).items()
            }
        for metric in self.metrics:
            if metric in ("bbox", "segm") and not self.format_only:
                for item in PRECISIONS:
                    metrics.setdefault(f"{metric}_{item}", 0.0)
        return metrics

    def _scores_boxes_alone(self) -> bool:
        """Whether nothing is asked for but the average precisions of boxes."""
        return (
            self.metrics == ["bbox"]
            and self.metric_items is None
            and self.outfile_prefix is None
            and not (self.classwise or self.format_only or self.use_mp_eval)
            and self._coco_api is not None
            and type(self).results2json is CocoMetric.results2json
        )

    def _box_metrics(self, found: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """The average precisions, from arrays: a record of each box takes longer than matching."""
        if self.cat_ids is None:
            self.cat_ids = self._coco_api.get_cat_ids(cat_names=self.dataset_meta["classes"])
        if self.img_ids is None:
            self.img_ids = self._coco_api.get_img_ids()
        boxes = _columns(found, np.asarray(self.cat_ids))
        if not len(boxes):
            return {f"bbox_{item}": 0.0 for item in PRECISIONS}
        params = {
            "catIds": self.cat_ids,
            "imgIds": self.img_ids,
            "maxDets": list(self.proposal_nums),
            "iouThrs": self.iou_thrs,
        }
        stats = boxes_evaluated(self._coco_api, boxes, params).stats
        return {f"bbox_{item}": float(stats[place]) for place, item in enumerate(PRECISIONS)}


def _columns(found: Sequence[Mapping[str, Any]], categories: np.ndarray) -> np.ndarray:
    """CocoMetric's results as (n, 7) of double precision; see `boxes_evaluated`."""
    counts = [len(each["scores"]) for each in found]
    columns = np.empty((sum(counts), 7))
    if not len(columns):
        return columns
    boxes = np.concatenate([each["bboxes"] for each in found]).astype(float)
    columns[:, 0] = np.repeat([each["img_id"] for each in found], counts)
    columns[:, 1:3] = boxes[:, :2]
    columns[:, 3:5] = boxes[:, 2:] - boxes[:, :2]
    columns[:, 5] = np.concatenate([each["scores"] for each in found])
    columns[:, 6] = categories[np.concatenate([each["labels"] for each in found])]
    return columns


@contextmanager
def _results_in_memory() -> Iterator[None]:
    """Keep CocoMetric's temporary files of detections in memory: JSON takes as long as matching."""
    kept: dict[str, list[dict[str, Any]]] = {}

    def dump(value: Any, file: str) -> None:
        if file.endswith((".bbox.json", ".segm.json")):
            kept[file] = value
        else:  # ground truth, which pycocotools reads
            mmengine_dump(value, file)

    def load(file: str) -> list[dict[str, Any]]:
        return [dict(each) for each in kept[file]]  # the caller changes them

    with mock.patch.multiple(coco_metric, dump=dump, load=load):
        yield


def _unrounded(value: Any, digits: int | None = None) -> Any:
    del digits
    return float(value) if isinstance(value, np.floating) else value


def metrics_that_round(evaluator: Any) -> list[str]:
    """Names of the configured metrics that round their results.

    Args:
        evaluator: the `val_evaluator` of a config, a dict or a list of dicts.
    """
    configs = evaluator if isinstance(evaluator, list | tuple) else [evaluator]
    names = [str(config["type"]).removeprefix("mmdet.") for config in configs]
    return [name for name in names if name in ("CocoMetric", "CocoFasterMetric")]
