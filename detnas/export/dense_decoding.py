"""Decoding and NMS of mmdet's dense heads on whole batches, with shapes that export can trace.

The result is that of mmdet's `BaseDenseHead.predict_by_feat`: for each level the `nms_pre` best
pairs of prior and class above the score threshold, boxes clipped to the image, NMS within each
class, the best `max_per_img`. Images with fewer boxes are filled up with boxes of score 0.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.dense_heads import GFLHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.detectors import SingleStageDetector
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder, DistancePointBBoxCoder
from torch import Tensor, nn

import detnas.export.nms  # noqa: F401 - registers the operators

NONE = -1.0
"""The score of a candidate that is none."""
Outputs = Sequence[Sequence[Tensor]]
Boxes = tuple[Tensor, Tensor, Tensor]


def why_not_exportable(model: Any) -> str | None:
    """Why a detector's heads cannot be exported, in a few words; None if they can.

    Args:
        model: a detector of mmdet's.
    """
    kind = type(model).__name__
    if hasattr(model, "rpn_head") or hasattr(model, "roi_head"):
        return f"{kind} is a two-stage detector, whose RoI heads are not exported"
    head = getattr(model, "bbox_head", None)
    if head is None or type(model).predict is not SingleStageDetector.predict:
        return f"{kind} is not a detector of one stage with a dense head"
    name = type(head).__name__
    if not isinstance(head, BaseDenseHead) or not _decodes_as_known(type(head)):
        return f"{name} decodes boxes in a way of its own"
    coder = type(head.bbox_coder)
    if coder not in (DeltaXYWHBBoxCoder, DistancePointBBoxCoder):
        return f"the box coder {coder.__name__} of {name} is not known"
    if getattr(head.loss_cls, "custom_cls_channels", False):
        return f"the loss {type(head.loss_cls).__name__} of {name} has channels of its own"
    return _why_not_settings(head.test_cfg)


def _decodes_as_known(head: type) -> bool:
    methods: Any = head
    return methods.predict is BaseDenseHead.predict and (
        methods.predict_by_feat is BaseDenseHead.predict_by_feat
        and methods._bbox_post_process is BaseDenseHead._bbox_post_process
        and methods._predict_by_feat_single
        in (BaseDenseHead._predict_by_feat_single, GFLHead._predict_by_feat_single)
    )


def _why_not_settings(settings: Any) -> str | None:
    nms = settings.get("nms") or {}
    known = {"type", "iou_threshold", "class_agnostic", "split_thr"}
    if nms.get("type", "nms") != "nms" or not {"iou_threshold"} <= nms.keys() <= known:
        return f"its test_cfg.nms is {dict(nms)}, and only dict(type='nms', iou_threshold=...) is"
    for key in ("nms_pre", "max_per_img"):
        if settings.get(key, -1) < 1:
            return f"its test_cfg.{key} is {settings.get(key)}; only integers >= 1 are exported"
    if settings.get("min_bbox_size", -1) > 0:
        return f"its test_cfg.min_bbox_size is {settings.min_bbox_size}; only 0 or none is exported"
    return None


class DenseDecoder(nn.Module):
    """From the outputs of a dense head to the boxes of each image.

    The first step, `probabilities`, keeps every prior. Choices are made in the second one, `boxes`,
    alone: equal inputs of it give equal boxes.

    Args:
        head: of a detector that `why_not_exportable` lets pass.
    """

    def __init__(self, head: Any) -> None:
        super().__init__()
        self.steps: Tensor
        # A tuple hides it: the head is a part of the network already, and not of this module.
        self._head = (head,)
        settings = head.test_cfg
        self.threshold = max(float(settings.get("score_thr", 0)), 0.0)
        self.candidates = int(settings.nms_pre)
        self.most = min(
            int(settings.max_per_img), self.candidates * len(head.prior_generator.strides)
        )
        self.iou_threshold = float(settings.nms.iou_threshold)
        self.is_class_agnostic = bool(settings.nms.get("class_agnostic", False))
        self.drops_empty = settings.get("min_bbox_size", -1) >= 0
        self.is_clipped = bool(head.bbox_coder.clip_border)
        self.is_distribution = isinstance(head, GFLHead)
        if self.is_distribution:
            self.register_buffer("steps", head.integral.project.clone(), persistent=False)

    def forward(self, outputs: Outputs, sizes: Tensor) -> Boxes:
        """Boxes (N, most, 4) as x1, y1, x2, y2 in pixels, scores and labels (N, most), best first.

        Args:
            outputs: of the head: class scores, boxes and perhaps score factors of each level.
            sizes: (N, 2), height and width of each image without its padding.
        """
        return self.boxes(self.probabilities(outputs), sizes)

    def probabilities(self, outputs: Outputs) -> list[list[Tensor]]:
        """The same, with probabilities of the classes, and factors from 0 to 1.

        Returns:
            Scores (N, priors * classes, H, W), boxes as the head gives them, and perhaps factors
            (N, priors, H, W), each of every level.
        """
        classes, boxes, *rest = outputs
        scores = [self._scores(each) for each in classes]
        factors = [[each.sigmoid() for each in part] for part in rest[:1]]
        return [scores, list(boxes), *factors]

    def _scores(self, classes: Tensor) -> Tensor:
        (head,) = self._head
        if head.use_sigmoid_cls:
            return classes.sigmoid()
        count, _, height, width = classes.shape
        apart = classes.reshape(count, -1, head.cls_out_channels, height, width)
        return apart.softmax(2)[:, :, :-1].flatten(1, 2)  # the last one is the background

    def boxes(self, probabilities: Outputs, sizes: Tensor) -> Boxes:
        """As `forward`, of what `probabilities` gives."""
        scores, boxes, *rest = probabilities
        factors = rest[0] if rest else [None] * len(scores)
        (head,) = self._head
        all_priors = head.prior_generator.grid_priors(
            [each.shape[-2:] for each in scores], dtype=scores[0].dtype, device=scores[0].device
        )
        levels = [
            self._candidates_of(*each)
            for each in zip(
                scores, boxes, factors, all_priors, head.prior_generator.strides, strict=True
            )
        ]
        best, labels, priors, deltas = (torch.cat(parts, 1) for parts in zip(*levels, strict=True))
        found = self._decoded(priors, deltas, sizes)
        if self.drops_empty:
            width, height = (found[..., 2:] - found[..., :2]).unbind(-1)
            best = torch.where((width > 0) & (height > 0), best, NONE)
        return self._best(found, best, labels)

    def _candidates_of(
        self, maps: Tensor, boxes: Tensor, factors: Tensor | None, priors: Tensor, stride: Any
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The best pairs of prior and class of a level: scores, labels, priors, deltas."""
        (head,) = self._head
        count, width = maps.shape[0], maps.shape[1] // head.num_base_priors
        each = maps.permute(0, 2, 3, 1).reshape(count, -1, width)
        flat = torch.where(each > self.threshold, each, NONE).flatten(1)
        # Small levels have fewer pairs than the candidates that are asked for.
        flat = torch.cat([flat, flat.new_full((count, self.candidates), NONE)], 1)
        scores, places = torch.ops.detnas.best(flat, self.candidates)
        chosen = (places // width).clamp(max=each.shape[1] - 1)
        labels = places % width
        priors = priors[chosen]
        channels = boxes.shape[1] // head.num_base_priors
        deltas = boxes.permute(0, 2, 3, 1).reshape(count, -1, channels)
        deltas = deltas.gather(1, chosen.unsqueeze(-1).expand(-1, -1, channels))
        if self.is_distribution:
            parts = deltas.reshape(count, -1, 4, self.steps.shape[0]).softmax(-1)
            deltas = (parts * self.steps).sum(-1) * stride[0]
            priors = (priors[..., 2:] + priors[..., :2]) / 2
        if factors is not None:
            factor = factors.permute(0, 2, 3, 1).reshape(count, -1).gather(1, chosen)
            scores = torch.where(scores > 0, scores * factor, NONE)
        return scores, labels, priors, deltas

    def _decoded(self, priors: Tensor, deltas: Tensor, sizes: Tensor) -> Tensor:
        (head,) = self._head
        flat: Tensor = head.bbox_coder.decode(priors.flatten(0, 1), deltas.flatten(0, 1))
        found = flat.reshape(*priors.shape[:2], 4)
        if not self.is_clipped:
            return found
        limits = sizes.to(found.dtype).flip(-1).repeat(1, 2).unsqueeze(1)
        return torch.minimum(found.clamp(min=0), limits)

    def _best(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> Boxes:
        apart = boxes
        if not self.is_class_agnostic:  # as mmcv: boxes of two classes never overlap
            valid = torch.where((scores > 0).unsqueeze(-1), boxes, 0.0)
            step = valid.flatten(1).amax(1) + 1
            apart = boxes + (labels * step.unsqueeze(1)).unsqueeze(-1)
        kept = torch.ops.detnas.nms_mask(apart, scores, self.iou_threshold, self.most)
        best, places = torch.ops.detnas.best(torch.where(kept > 0, scores, 0.0), self.most)
        is_box = best > 0
        boxes = boxes.gather(1, places.unsqueeze(-1).expand(-1, -1, 4))
        return (
            torch.where(is_box.unsqueeze(-1), boxes, 0.0),
            best,
            torch.where(is_box, labels.gather(1, places), 0),
        )
