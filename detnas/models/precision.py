"""Keeps boxes, scores and losses in fp32 when the model computes in a lower precision."""

from typing import Any

from mmengine.utils import apply_to
from torch import Tensor, nn

from detnas.models.checkpoints import unwrapped


def keep_boxes_in_fp32(model: nn.Module) -> None:
    """Hook a model so that under autocast heads return fp32 and RoI extractors get fp32.

    OpenMMLab decodes boxes, crops RoIs and sums losses in the precision of the heads' outputs and
    the feature maps. But bf16 rounds coordinates near 1,000 pixels to multiples of 4 and cannot be
    converted to numpy, and in fp16 the sum over a feature map may overflow. Without autocast the
    hooks change nothing.
    """
    # Imported here because it is slow, unless the model has loaded these modules already.
    from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
    from mmdet.models.roi_heads.bbox_heads import BBoxHead
    from mmdet.models.roi_heads.mask_heads import FCNMaskHead
    from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor
    from mmpretrain.models.heads import ClsHead

    for module in unwrapped(model).modules():
        if isinstance(module, BaseDenseHead | BBoxHead | FCNMaskHead | ClsHead):
            module.register_forward_hook(_fp32_outputs)
        elif isinstance(module, BaseRoIExtractor):
            module.register_forward_pre_hook(_fp32_inputs)


def _fp32_outputs(module: nn.Module, inputs: Any, outputs: Any) -> Any:
    return apply_to(outputs, _is_floating, Tensor.float)


def _fp32_inputs(module: nn.Module, inputs: Any) -> Any:
    return apply_to(inputs, _is_floating, Tensor.float)


def _is_floating(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
