# mmdet's Mask R-CNN over any backbone of four stages: the Faster R-CNN beside it and a mask head of
# four convolutions, with batch norm as in the box head. On top of this and of a data set in COCO's
# format set
#   annotations = dict(with_mask=True)
# and, to score the masks too, `metric=["bbox", "segm"]` in `test_evaluator`.
_base_ = ["mmdet::_base_/models/mask-rcnn_r50_fpn.py"]
_base_.model.pop("_scope_")  # mmengine sets it on what other packages' configs define
norm_cfg = dict(type="SyncBN")  # plain batch norm on a CPU
out_indices = (0, 1, 2, 3)
fpn_channels = 256


def _head(**options):
    return dict(
        in_channels="{fpn_channels}",
        conv_out_channels="{fpn_channels}",
        num_classes="{num_classes}",
        norm_cfg="{norm_cfg}",
        **options,
    )


model = dict(
    data_preprocessor=dict(mean="{mean}", std="{std}", bgr_to_rgb="{rgb}"),
    backbone="{backbone}",
    neck=dict(in_channels="{stage_channels}", out_channels="{fpn_channels}", norm_cfg="{norm_cfg}"),
    rpn_head=dict(in_channels="{fpn_channels}", feat_channels="{fpn_channels}"),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels="{fpn_channels}"),
        bbox_head=_head(type="Shared4Conv1FCBBoxHead"),
        mask_roi_extractor=dict(out_channels="{fpn_channels}"),
        mask_head=_head(),
    ),
    train_cfg=dict(rcnn=dict(assigner=dict(match_low_quality=False))),
)
