# RetinaNet for blood cells: what fine-tuning, search and retraining share.
_base_ = [
    "../_base_/models/retinanet_sep_bn.py",
    "../_base_/spaces/small.py",
    "../_base_/preprocessing/imagenet.py",
    "../_base_/datasets/bccd.py",
    "../_base_/schedules/detection.py",
    "../_base_/runtime.py",
]
fpn_channels = 96
model = dict(bbox_head=dict(stacked_convs=2))
