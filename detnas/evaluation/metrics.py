"""COCO average precision at full resolution, for ranking candidates."""

from contextlib import nullcontext
from typing import Any
from unittest import mock

import numpy as np
from mmdet.evaluation.metrics import CocoMetric, coco_metric
from mmdet.registry import METRICS

from detnas.evaluation.matching import fast_matching


@METRICS.register_module()
class UnroundedCocoMetric(CocoMetric):
    """mmdet's CocoMetric without its rounding to three decimals.

    Candidates of one generation often differ by less than 0.001. A network that detects nothing
    scores 0; CocoMetric omits the metric. Arguments are those of CocoMetric.
    """

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """The metrics of CocoMetric in double precision."""
        # CocoMetric calls the builtin `round`, which a name in its module can shadow.
        unrounded = mock.patch.object(coco_metric, "round", _unrounded, create=True)
        with unrounded, nullcontext() if self.use_mp_eval else fast_matching():
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
