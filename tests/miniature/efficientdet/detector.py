# A supernet under a small BiFPN and EfficientDet's head, on scenes of digits, for a few iterations.
_base_ = [
    "../../../configs/_base_/models/efficientdet.py",
    "../../../configs/_base_/spaces/tiny.py",
    "../../../configs/_base_/preprocessing/imagenet.py",
    "../../../configs/_base_/datasets/digits.py",
    "../../../configs/_base_/schedules/detection.py",
    "../../../configs/_base_/runtime.py",
]
bifpn_channels = 32
bifpn_cells = 2
head_convs = 1
pyramid_levels = 3
anchor_scale = 3.0
max_iters = 3
warmup_iters = 1
lr = 0.04
checkpoint_interval = 2
batch_size = 4
num_workers = 0
