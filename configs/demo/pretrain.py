# Path-wise pretraining of the tiny space on crops of handwritten digits. Too short a schedule for
# random paths from the start: see PathSamplingHook.
_base_ = [
    "../_base_/models/classifier.py",
    "../_base_/backbones/supernet.py",
    "../_base_/spaces/tiny.py",
    "../_base_/preprocessing/imagenet.py",
    "../_base_/datasets/digit_crops.py",
    "../_base_/schedules/classification.py",
    "../_base_/runtime.py",
]
max_iters = 700
warmup_iters = 30
path_warmup_iters = 250
