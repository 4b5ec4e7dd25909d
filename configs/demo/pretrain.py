# Path-wise pretraining of the tiny space on crops of handwritten digits. Too short a schedule for
# random paths from the start: see PathSamplingHook.
_base_ = [
    "../_base_/models/classifier.py",
    "../_base_/datasets/digit_crops.py",
    "../_base_/schedules/classification.py",
    "../_base_/runtime.py",
]
model = dict(
    backbone=dict(space="tiny"),
    neck=dict(in_channels=256, out_channels=256),
    head=dict(in_channels=256),
)
max_iters = 700
warmup_iters = 30
custom_hooks = [dict(type="PathSamplingHook", warmup_iters=250)]
