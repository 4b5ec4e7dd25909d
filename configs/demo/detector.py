# RetinaNet for scenes of digits: what fine-tuning, search and retraining share.
_base_ = [
    "../_base_/models/retinanet_sep_bn.py",
    "../_base_/spaces/tiny.py",
    "../_base_/preprocessing/imagenet.py",
    "../_base_/datasets/digits.py",
    "../_base_/schedules/detection.py",
    "../_base_/runtime.py",
]
fpn_channels = 64
num_levels = 3
model = dict(
    bbox_head=dict(
        stacked_convs=1,
        anchor_generator=dict(octave_base_scale=3, strides=[8, 16, 32]),
    ),
)
max_iters = 450
warmup_iters = 30
lr = 0.04
