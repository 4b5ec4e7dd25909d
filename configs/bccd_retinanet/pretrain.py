# Path-wise pretraining of the small space on Tiny ImageNet. Too short a schedule for random paths
# from the start: see PathSamplingHook.
_base_ = [
    "../_base_/models/classifier.py",
    "../_base_/backbones/supernet.py",
    "../_base_/spaces/small.py",
    "../_base_/preprocessing/imagenet.py",
    "../_base_/datasets/tiny_imagenet.py",
    "../_base_/schedules/classification.py",
    "../_base_/runtime.py",
]
max_iters = 2000
path_warmup_iters = 700
