# mmdet's RetinaNet over any backbone of four stages: FPN levels at strides 8, 16, 32 and two more.
# As in the authors' configs the backbone alone has batch norm; retinanet_sep_bn.py gives it to the
# rest.
_base_ = ["mmdet::_base_/models/retinanet_r50_fpn.py"]
_base_.model.pop("_scope_")  # mmengine sets it on what other packages' configs define
_base_.model.neck.pop("start_level")  # the backbone gives FPN the stages that it takes, no others
norm_cfg = dict(type="SyncBN")  # plain batch norm on a CPU
out_indices = (1, 2, 3)
fpn_channels = 256
model = dict(
    data_preprocessor=dict(mean="{mean}", std="{std}", bgr_to_rgb="{rgb}"),
    backbone="{backbone}",
    neck=dict(in_channels="{stage_channels[1:]}", out_channels="{fpn_channels}"),
    bbox_head=dict(
        num_classes="{num_classes}", in_channels="{fpn_channels}", feat_channels="{fpn_channels}"
    ),
)
