# A few iterations of path-wise fine-tuning on the COCO subset, to show that it runs.
_base_ = [
    "../_base_/models/retinanet.py",
    "../_base_/datasets/coco_subset.py",
    "../_base_/schedules/detection.py",
    "../_base_/runtime.py",
]
model = dict(
    backbone=dict(init_cfg=dict(type="Pretrained", checkpoint="{experiment}/pretrain/final.pth")),
    neck=dict(out_channels=96),
    bbox_head=dict(num_classes=12, in_channels=96, feat_channels=96, stacked_convs=2),
)
max_iters = 6
warmup_iters = 2
