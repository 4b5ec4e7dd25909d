# A few iterations of Faster R-CNN with FPN over the tiny space.
_base_ = [
    "../../../configs/_base_/models/faster_rcnn.py",
    "../../../configs/_base_/datasets/digits.py",
    "../../../configs/_base_/schedules/detection.py",
    "../../../configs/_base_/runtime.py",
]
model = dict(
    backbone=dict(
        space="tiny",
        init_cfg=dict(type="Pretrained", checkpoint="{experiment}/pretrain/final.pth"),
    ),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=32),
    rpn_head=dict(in_channels=32, feat_channels=32),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=32),
        bbox_head=dict(in_channels=32, conv_out_channels=32, fc_out_channels=64, num_classes=10),
    ),
    train_cfg=dict(rpn_proposal=dict(max_per_img=50), rcnn=dict(sampler=dict(num=32))),
    test_cfg=dict(rpn=dict(max_per_img=50)),
)
max_iters = 3
warmup_iters = 1
batch_size = 2
train_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0)
search_dataloader = dict(num_workers=0)
default_hooks = dict(checkpoint=dict(interval=2))
