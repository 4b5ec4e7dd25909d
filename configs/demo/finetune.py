# Path-wise fine-tuning of the tiny supernet under RetinaNet on scenes of digits.
_base_ = [
    "../_base_/models/retinanet.py",
    "../_base_/datasets/digits.py",
    "../_base_/runtime.py",
]
model = dict(
    backbone=dict(
        space="tiny",
        out_indices=(1, 2, 3),
        init_cfg=dict(type="Pretrained", checkpoint="{experiment}/pretrain/final.pth"),
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
max_iters = 300
train_cfg = dict(type="IterBasedTrainLoop", max_iters=max_iters, val_interval=100000)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.04, momentum=0.9, weight_decay=1e-4),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, begin=0, end=30, by_epoch=False),
    dict(type="CosineAnnealingLR", begin=30, end=max_iters, eta_min=0.0, by_epoch=False),
]
