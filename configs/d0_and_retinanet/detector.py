# What both detectors share: the backbone of D0, 160 pixels, 600 iterations.
_base_ = [
    "../_base_/backbones/efficientnet.py",
    "../_base_/preprocessing/imagenet.py",
    "../_base_/schedules/detection.py",
    "../_base_/runtime.py",
]
drop_path_rate = 0.0  # so short a training needs none
max_iters = 600
lr = 0.004
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr="{lr}", weight_decay=0.05),
)
