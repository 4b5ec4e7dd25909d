# Path-wise fine-tuning of the pretrained supernet under RetinaNet on BCCD's train split.
_base_ = [
    "../_base_/models/retinanet.py",
    "../_base_/datasets/bccd.py",
    "../_base_/runtime.py",
]
model = dict(
    backbone=dict(
        init_cfg=dict(type="Pretrained", checkpoint="{experiment}/pretrain/final.pth"),
    ),
    neck=dict(out_channels=96),
    bbox_head=dict(num_classes=3, in_channels=96, feat_channels=96, stacked_convs=2),
)
max_iters = 800
train_cfg = dict(type="IterBasedTrainLoop", max_iters=max_iters, val_interval=100000)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.02, momentum=0.9, weight_decay=1e-4),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type="CosineAnnealingLR", begin=50, end=max_iters, eta_min=0.0, by_epoch=False),
]
