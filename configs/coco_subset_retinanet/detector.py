# RetinaNet for the COCO subset, a few iterations to show that it runs.
_base_ = [
    "../_base_/models/retinanet_sep_bn.py",
    "../_base_/spaces/small.py",
    "../_base_/preprocessing/imagenet.py",
    "../_base_/datasets/coco_subset.py",
    "../_base_/schedules/detection.py",
    "../_base_/runtime.py",
]
fpn_channels = 96
model = dict(bbox_head=dict(stacked_convs=2))
max_iters = 6
warmup_iters = 2
