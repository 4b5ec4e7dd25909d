"""COCO average precision at full resolution, for ranking candidates."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
from mmdet.evaluation.metrics import CocoMetric, coco_metric
from mmdet.registry import METRICS
from mmengine.fileio import dump as mmengine_dump

from detnas.evaluation import mended_annotations  # noqa: F401 - changes what CocoMetric reads
from detnas.evaluation.matching import fast_matching


@METRICS.register_module()
class UnroundedCocoMetric(CocoMetric):
    """mmdet's CocoMetric without its rounding to three decimals.

    Candidates of one generation often differ by less than 0.001. A network that detects nothing
    scores 0; CocoMetric omits the metric. Arguments are those of CocoMetric.
    """

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """The metrics of CocoMetric in double precision."""
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
                metrics.setdefault(f"{metric}_mAP", 0.0)
                for item in ("50", "75", "s", "m", "l"):
                    metrics.setdefault(f"{metric}_mAP_{item}", 0.0)
        return metrics


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
