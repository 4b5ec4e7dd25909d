# RetinaNet for VOC over the tiny space, a few iterations from random weights.
_base_ = [
    "../../../configs/_base_/models/retinanet_sep_bn.py",
    "../../../configs/_base_/backbones/supernet.py",
    "../../../configs/_base_/spaces/tiny.py",
    "../../../configs/_base_/preprocessing/authors.py",
    "../../../configs/_base_/datasets/voc.py",
    "../../../configs/_base_/schedules/detection.py",
    "../../../configs/_base_/runtime.py",
]
data_root = "{experiment}/data/VOCdevkit"
image_scale = (160, 160)
filter_cfg = dict(min_size=8, bbox_min_size=2)
fpn_channels = 32
model = dict(bbox_head=dict(stacked_convs=1))
max_iters = 3
warmup_iters = 1
checkpoint_interval = 2
num_workers = 0
