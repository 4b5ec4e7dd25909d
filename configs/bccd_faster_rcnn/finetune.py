# Path-wise fine-tuning under Faster R-CNN with FPN on BCCD. On a CPU it is several times slower
# than RetinaNet: this schedule is shortened to show that everything runs, not to rank well.
_base_ = [
    "../_base_/models/faster_rcnn.py",
    "../_base_/datasets/bccd.py",
    "../_base_/schedules/detection.py",
    "../_base_/runtime.py",
]
model = dict(
    backbone=dict(init_cfg=dict(type="Pretrained", checkpoint="{experiment}/pretrain/final.pth")),
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
warmup_iters = 30
