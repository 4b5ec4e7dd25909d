# A few iterations of path-wise fine-tuning on the COCO subset, to show that it runs.
_base_ = [
    "../_base_/models/faster_rcnn.py",
    "../_base_/datasets/coco_subset.py",
    "../_base_/schedules/detection.py",
    "../_base_/runtime.py",
]
model = dict(
    backbone=dict(init_cfg=dict(type="Pretrained", checkpoint="{experiment}/pretrain/final.pth")),
    neck=dict(out_channels=64),
    rpn_head=dict(in_channels=64, feat_channels=64),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        bbox_head=dict(in_channels=64, conv_out_channels=64, fc_out_channels=256, num_classes=12),
    ),
    train_cfg=dict(rcnn=dict(sampler=dict(num=128)), rpn_proposal=dict(max_per_img=300)),
    test_cfg=dict(rpn=dict(max_per_img=200)),
)
max_iters = 6
warmup_iters = 2
