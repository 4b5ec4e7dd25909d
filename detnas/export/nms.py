"""Operators that torch and ONNX Runtime compute alike: the best scores, and NMS.

Among equal scores both take the one with the lower index first. torch's own `topk`, and the `sort`
that mmdet calls, promise no order.

torch.export cannot trace torchvision's NMS, whose output has as many rows as boxes are kept. The
operator here gives a mask of a fixed shape instead, for a whole batch of images at once.
"""

from typing import Any

import torch
import torchvision
from torch import Tensor


@torch.library.custom_op("detnas::best", mutates_args=())
def best(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The highest scores of each row and their indices, (N, count); of equal ones the first.

    Args:
        scores: (N, K) with K >= count.
        count: how many.
    """
    values, places = scores.sort(dim=-1, descending=True, stable=True)
    return values[:, :count].clone(), places[:, :count].clone()


@best.register_fake
def _best_shape(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    values = scores.new_empty((scores.shape[0], count))
    return values, values.to(torch.int64)


@torch.library.custom_op("detnas::nms_mask", mutates_args=())
def nms_mask(boxes: Tensor, scores: Tensor, iou_threshold: float, most: int) -> Tensor:
    """Which boxes of each image are kept.

    Args:
        boxes: (N, K, 4) as x1, y1, x2, y2.
        scores: (N, K); a box whose score is not above 0 is none.
        iou_threshold: a box that overlaps a better one by more than this is dropped.
        most: boxes to keep in one image at most, the best ones.
    Returns:
        (N, K): 1.0 where a box is kept, else 0.0.
    """
    mask = torch.zeros_like(scores)
    for image in range(len(boxes)):
        valid = torch.nonzero(scores[image] > 0)[:, 0]
        kept = torchvision.ops.nms(boxes[image, valid], scores[image, valid], iou_threshold)
        mask[image, valid[kept[:most]]] = 1.0
    return mask


@nms_mask.register_fake
def _nms_mask_shape(boxes: Tensor, scores: Tensor, iou_threshold: float, most: int) -> Tensor:
    return torch.empty_like(scores)


def onnx_translations() -> dict[Any, Any]:
    """The `custom_translation_table` of `torch.onnx.export` for these operators."""
    from onnxscript import opset18

    op: Any = opset18

    def translate_best(scores: Any, count: int) -> Any:
        return op.TopK(scores, op.Constant(value_ints=[count]), axis=-1, largest=1, sorted=1)

    def translate_mask(boxes: Any, scores: Any, iou_threshold: float, most: int) -> Any:
        selected = op.NonMaxSuppression(
            boxes,
            op.Unsqueeze(scores, op.Constant(value_ints=[1])),
            op.Constant(value_ints=[most]),
            op.Constant(value_floats=[iou_threshold]),
            op.Constant(value_floats=[0.0]),
        )  # rows of image, class, box
        places = op.Gather(selected, op.Constant(value_ints=[0, 2]), axis=1)
        zeros = op.Expand(op.Constant(value_float=0.0), op.Shape(scores))
        ones = op.Expand(op.Constant(value_float=1.0), op.Shape(places, start=0, end=1))
        return op.ScatterND(zeros, places, ones)

    return {
        torch.ops.detnas.best.default: translate_best,
        torch.ops.detnas.nms_mask.default: translate_mask,
    }
