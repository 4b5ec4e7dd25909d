"""What lower precision must not touch: boxes, scores and losses stay in fp32."""

from typing import Any

from mmengine.utils import apply_to
from torch import Tensor, nn

from detnas.models.checkpoints import unwrapped


def keep_boxes_in_fp32(model: nn.Module) -> None:
    """Hook a model so that under autocast its heads give fp32 and its RoI extractors take it.

    OpenMMLab decodes boxes, cuts RoIs and sums losses in the precision of what the heads give and
    of the feature maps: in bf16, 1,000 pixels are rounded to the next 4, and numpy takes none of
    it; in fp16 the sum of a feature map may overflow. Without autocast nothing changes.
    """
    # Slow to import, unless the model is made of them.
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
