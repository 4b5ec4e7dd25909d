# D0's backbone on crops of digits.
_base_ = [
    "../_base_/models/classifier.py",
    "../_base_/backbones/efficientnet.py",
    "../_base_/preprocessing/imagenet.py",
    "../_base_/datasets/digit_crops.py",
    "../_base_/schedules/classification.py",
    "../_base_/runtime.py",
]
compound = "d0"
max_iters = 600
last_channels = 256
drop_path_rate = 0.0
