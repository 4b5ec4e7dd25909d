"""COCO matching by hotcoco: the arrays of pycocotools, many times faster.

Matching detections with ground truth can take as long as the network in pycocotools. Where hotcoco
is not installed, pycocotools does it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any
from unittest import mock
from weakref import WeakKeyDictionary

import numpy as np
from mmdet.evaluation.metrics import coco_metric
from numpy.typing import NDArray
from pycocotools.cocoeval import COCOeval

_PARAMS = ("imgIds", "catIds", "iouThrs", "recThrs", "maxDets", "areaRng", "areaRngLbl", "useCats")
_truths: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def is_fast() -> bool:
    """Whether mmdet's CocoMetric can be matched by hotcoco, here and now."""
    return find_spec("hotcoco") is not None and coco_metric.COCOeval is COCOeval


@contextmanager
def fast_matching() -> Iterator[None]:
    """Within the block, mmdet's CocoMetric matches by hotcoco if it is there.

    Not where something else has taken the place of pycocotools already.
    """
    if not is_fast():
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


def boxes_evaluated(truth: Any, found: NDArray[np.float64], params: Mapping[str, Any]) -> COCOeval:
    """An evaluation of boxes that were never made into records, after `summarize`.

    It equals that of pycocotools on the same boxes to the last digit, without `evalImgs`.

    Args:
        truth: pycocotools' index of the ground truth.
        found: (n, 7), n > 0: image id, left, top, width, height, score, category id.
        params: some of pycocotools' parameters, by name.
    """
    evaluation = COCOeval(iouType="bbox")
    for name, value in params.items():
        setattr(evaluation.params, name, value)
    FastCOCOeval.evaluate(evaluation)
    hot_truth = _truth(truth)
    fast = _with_params(hot_truth, hot_truth.load_res(found), evaluation.params)
    fast.evaluate()
    fast.accumulate()
    evaluation.eval = {**fast.eval, "params": evaluation.params}
    evaluation.summarize()
    return evaluation


def hot_evaluation(evaluation: COCOeval, score_threshold: float = 0.0, params: Any = None) -> Any:
    """An evaluation of pycocotools as hotcoco's, which has not been evaluated.

    Args:
        evaluation: it.
        score_threshold: detections with a lower score are left out.
        params: pycocotools' parameters, in place of the evaluation's own.
    """
    params = params or evaluation.params
    truth = _truth(evaluation.cocoGt)
    found = _found(evaluation.cocoDt, params.iouType)
    kept = [each for each in found if each["score"] >= score_threshold]
    return _with_params(truth, truth.load_res(kept), params)


def _with_params(truth: Any, found: Any, params: Any) -> Any:
    """hotcoco's evaluation of its own indices, by pycocotools' parameters."""
    from hotcoco import COCOeval as HotEval

    fast = HotEval(truth, found, params.iouType)
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
