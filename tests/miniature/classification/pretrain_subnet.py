# The found network, trained on the crops from the supernet's weights.
_base_ = [
    "../../../configs/_base_/models/classifier.py",
    "../../../configs/_base_/backbones/subnet.py",
    "../../../configs/_base_/spaces/tiny.py",
    "../../../configs/_base_/preprocessing/authors.py",
    "../../../configs/_base_/datasets/digit_crops.py",
    "../../../configs/_base_/schedules/classification.py",
    "../../../configs/_base_/runtime.py",
]
pretrained = "{experiment}/pretrain/final.pth"
max_iters = 3
warmup_iters = 1
checkpoint_interval = 2
pretrain_batch_size = 8
num_workers = 0
