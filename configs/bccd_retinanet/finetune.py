# Path-wise fine-tuning of the pretrained supernet under RetinaNet on BCCD's train split.
_base_ = [
    "../_base_/models/retinanet.py",
    "../_base_/datasets/bccd.py",
    "../_base_/schedules/detection.py",
    "../_base_/runtime.py",
]
model = dict(
    backbone=dict(init_cfg=dict(type="Pretrained", checkpoint="{experiment}/pretrain/final.pth")),
    neck=dict(out_channels=96),
    bbox_head=dict(num_classes=3, in_channels=96, feat_channels=96, stacked_convs=2),
)
