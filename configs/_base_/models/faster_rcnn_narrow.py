# Faster R-CNN with narrow FPN and heads and few proposals: for small data sets and for CPUs.
_base_ = ["./faster_rcnn.py"]
fpn_channels = 64
model = dict(
    roi_head=dict(bbox_head=dict(fc_out_channels=256)),
    train_cfg=dict(rcnn=dict(sampler=dict(num=128)), rpn_proposal=dict(max_per_img=300)),
    test_cfg=dict(rpn=dict(max_per_img=200)),
)
