# Path-wise fine-tuning of the tiny supernet under RetinaNet on scenes of digits.
_base_ = [
    "../_base_/models/retinanet.py",
    "../_base_/datasets/digits.py",
    "../_base_/schedules/detection.py",
    "../_base_/runtime.py",
]
model = dict(
    backbone=dict(
        space="tiny", init_cfg=dict(type="Pretrained", checkpoint="{experiment}/pretrain/final.pth")
    ),
    neck=dict(in_channels=[64, 128, 256], out_channels=64, num_outs=3),
    bbox_head=dict(
        num_classes=10,
        num_ins=3,
        in_channels=64,
        feat_channels=64,
        stacked_convs=1,
        anchor_generator=dict(octave_base_scale=3, strides=[8, 16, 32]),
    ),
)
max_iters = 450
warmup_iters = 30
lr = 0.04
