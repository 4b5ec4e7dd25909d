# A few iterations of pretraining on crops of digits.
_base_ = [
    "../../../configs/_base_/models/classifier.py",
    "../../../configs/_base_/backbones/supernet.py",
    "../../../configs/_base_/spaces/tiny.py",
    "../../../configs/_base_/preprocessing/imagenet.py",
    "../../../configs/_base_/datasets/digit_crops.py",
    "../../../configs/_base_/schedules/classification.py",
    "../../../configs/_base_/runtime.py",
]
max_iters = 4
warmup_iters = 1
checkpoint_interval = 2
path_warmup_iters = 2
pretrain_batch_size = 8
num_workers = 0
