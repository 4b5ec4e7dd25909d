# RetinaNet over D0's backbone, with as many multiply-adds as the EfficientDet beside it.
_base_ = ["./detector.py", "../_base_/models/retinanet_sep_bn.py"]
compound = "d0"
norm_cfg = dict(momentum=0.01, eps=1e-3)
num_levels = 3
fpn_channels = 36
model = dict(
    bbox_head=dict(
        stacked_convs=1, anchor_generator=dict(octave_base_scale=2, strides=[8, 16, 32])
    ),
)
