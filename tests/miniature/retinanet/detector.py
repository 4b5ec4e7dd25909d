# A small RetinaNet on scenes of digits, for a few iterations.
_base_ = [
    "../../../configs/_base_/models/retinanet_sep_bn.py",
    "../../../configs/_base_/spaces/tiny.py",
    "../../../configs/_base_/preprocessing/imagenet.py",
    "../../../configs/_base_/datasets/digits.py",
    "../../../configs/_base_/schedules/detection.py",
    "../../../configs/_base_/runtime.py",
]
fpn_channels = 64
num_levels = 3
model = dict(
    bbox_head=dict(
        stacked_convs=1,
        anchor_generator=dict(octave_base_scale=3, strides=[8, 16, 32]),
    ),
)
max_iters = 3
warmup_iters = 1
lr = 0.04
checkpoint_interval = 2
batch_size = 4
num_workers = 0
