# mmdet's Faster R-CNN over any backbone of four stages: FPN levels at strides 4 to 32 and one more,
# box head 4conv1fc, synchronised batch norm in backbone, FPN and box head.
_base_ = ["mmdet::_base_/models/faster-rcnn_r50_fpn.py"]
_base_.model.pop("_scope_")  # mmengine sets it on what other packages' configs define
norm_cfg = dict(type="SyncBN")  # plain batch norm on a CPU
out_indices = (0, 1, 2, 3)
fpn_channels = 256
model = dict(
    data_preprocessor=dict(mean="{mean}", std="{std}", bgr_to_rgb="{rgb}"),
    backbone="{backbone}",
    neck=dict(in_channels="{stage_channels}", out_channels="{fpn_channels}", norm_cfg="{norm_cfg}"),
    rpn_head=dict(in_channels="{fpn_channels}", feat_channels="{fpn_channels}"),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels="{fpn_channels}"),
        bbox_head=dict(
            type="Shared4Conv1FCBBoxHead",
            in_channels="{fpn_channels}",
            conv_out_channels="{fpn_channels}",
            num_classes="{num_classes}",
            norm_cfg="{norm_cfg}",
        ),
    ),
)
