# Path-wise fine-tuning under Faster R-CNN with FPN on BCCD. On a CPU it is several times slower
# than RetinaNet: this schedule is shortened to show that everything runs, not to rank well.
_base_ = [
    "../_base_/models/faster_rcnn.py",
    "../_base_/datasets/bccd.py",
    "../_base_/runtime.py",
]
model = dict(
    backbone=dict(
        init_cfg=dict(type="Pretrained", checkpoint="{experiment}/pretrain/final.pth"),
    ),
    neck=dict(out_channels=64),
    rpn_head=dict(in_channels=64, feat_channels=64),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        bbox_head=dict(in_channels=64, conv_out_channels=64, fc_out_channels=256, num_classes=3),
    ),
    train_cfg=dict(rcnn=dict(sampler=dict(num=128)), rpn_proposal=dict(max_per_img=300)),
    test_cfg=dict(rpn=dict(max_per_img=200)),
)
max_iters = 150
train_cfg = dict(type="IterBasedTrainLoop", max_iters=max_iters, val_interval=100000)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.02, momentum=0.9, weight_decay=1e-4),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, begin=0, end=30, by_epoch=False),
    dict(type="CosineAnnealingLR", begin=30, end=max_iters, eta_min=0.0, by_epoch=False),
]
