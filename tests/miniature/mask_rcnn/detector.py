# A few iterations of Mask R-CNN with FPN over the tiny space.
_base_ = [
    "../../../configs/_base_/models/mask_rcnn.py",
    "../../../configs/_base_/spaces/tiny.py",
    "../../../configs/_base_/preprocessing/imagenet.py",
    "../../../configs/_base_/datasets/digits.py",
    "../../../configs/_base_/schedules/detection.py",
    "../../../configs/_base_/runtime.py",
]
fpn_channels = 32
model = dict(
    roi_head=dict(bbox_head=dict(fc_out_channels=64)),
    train_cfg=dict(rpn_proposal=dict(max_per_img=50), rcnn=dict(sampler=dict(num=32))),
    test_cfg=dict(rpn=dict(max_per_img=50)),
)
annotations = dict(with_mask=True)
test_evaluator = dict(metric=["bbox", "segm"])
max_iters = 3
warmup_iters = 1
checkpoint_interval = 2
batch_size = 2
num_workers = 0
