# RetinaNet for scenes of digits of 6 to 100 pixels: what fine-tuning, search and retraining share.
_base_ = [
    "../_base_/models/retinanet_sep_bn.py",
    "../_base_/spaces/tiny_skip.py",
    "../_base_/preprocessing/imagenet.py",
    "../_base_/datasets/digits.py",
    "../_base_/schedules/detection.py",
    "../_base_/runtime.py",
]
fpn_channels = 32
num_levels = 3
model = dict(
    bbox_head=dict(
        stacked_convs=1,
        anchor_generator=dict(octave_base_scale=2, ratios=[1.5], strides=[8, 16, 32]),
    ),
    test_cfg=dict(max_per_img=30),
)
batch_size = 8
warmup_iters = 30
