"""COCO matching by hotcoco: the arrays of pycocotools, many times faster.

Matching detections with ground truth takes about half of a candidate's time in pycocotools. Where
hotcoco is not installed, pycocotools does it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any
from unittest import mock
from weakref import WeakKeyDictionary

import numpy as np
from mmdet.evaluation.metrics import coco_metric
from pycocotools.cocoeval import COCOeval

_PARAMS = ("imgIds", "catIds", "iouThrs", "recThrs", "maxDets", "areaRng", "areaRngLbl", "useCats")
_truths: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


@contextmanager
def fast_matching() -> Iterator[None]:
    """Within the block, mmdet's CocoMetric matches by hotcoco if it is there.

    Not where something else has taken the place of pycocotools already.
    """
    if find_spec("hotcoco") is None or coco_metric.COCOeval is not COCOeval:
        yield
        return
    with mock.patch.object(coco_metric, "COCOeval", FastCOCOeval):
        yield


class FastCOCOeval(COCOeval):  # type: ignore[misc]
    """pycocotools' COCOeval of boxes or masks, whose arrays are computed by hotcoco.

    `evalImgs` stays empty. All else is as in pycocotools, to the last digit.
    """

    def evaluate(self) -> None:
        """Put the parameters in pycocotools' order; the work is done by `accumulate`."""
        params = self.params
        params.imgIds = np.unique(params.imgIds).tolist()
        if params.useCats:
            params.catIds = np.unique(params.catIds).tolist()
        params.maxDets = sorted(params.maxDets)
        self._paramsEval = params

    def accumulate(self, p: Any = None) -> None:
        """Match, and fill `eval` with precision, recall and scores, shaped as pycocotools does.

        Args:
            p: pycocotools' parameters, in place of the evaluation's own.
        """
        params = p or self.params
        fast = hot_evaluation(self, params=params)
        fast.evaluate()
        fast.accumulate()
        assert fast.eval is not None, "it has been filled"
        self.eval = {**fast.eval, "params": params}


def hot_evaluation(evaluation: COCOeval, score_threshold: float = 0.0, params: Any = None) -> Any:
    """An evaluation of pycocotools as hotcoco's, which has not been evaluated.

    Args:
        evaluation: it.
        score_threshold: detections with a lower score are left out.
        params: pycocotools' parameters, in place of the evaluation's own.
    """
    from hotcoco import COCOeval as HotEval

    params = params or evaluation.params
    truth = _truth(evaluation.cocoGt)
    found = _found(evaluation.cocoDt, params.iouType)
    kept = [each for each in found if each["score"] >= score_threshold]
    fast = HotEval(truth, truth.load_res(kept), params.iouType)
    for name in _PARAMS:
        value = getattr(params, name)
        if name == "useCats":
            value = bool(value)
        setattr(fast.params, name, value.tolist() if isinstance(value, np.ndarray) else value)
    return fast


def _truth(api: Any) -> Any:
    """The ground truth as hotcoco holds it, made once for each object of pycocotools."""
    from hotcoco import COCO

    if api not in _truths:
        _truths[api] = COCO(api.dataset)
    return _truths[api]


def _found(api: Any, kind: str) -> Any:
    """Detections without what pycocotools has added to them."""
    shape = "bbox" if kind == "bbox" else "segmentation"
    keys = ("image_id", "category_id", shape, "score")
    return [{key: each[key] for key in keys} for each in api.dataset["annotations"]]
