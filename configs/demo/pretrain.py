# Path-wise pretraining on crops of handwritten digits. The warm-up lasts until its path has
# learned: docs/fidelity.md.
_base_ = [
    "../_base_/models/classifier.py",
    "../_base_/backbones/supernet.py",
    "../_base_/spaces/tiny_skip.py",
    "../_base_/preprocessing/imagenet.py",
    "../_base_/datasets/digit_crops.py",
    "../_base_/schedules/classification.py",
    "../_base_/runtime.py",
]
max_iters = 1400
warmup_iters = 30
path_warmup_iters = 600
