# Path-wise pretraining of the large space's supernet on ImageNet, paths drawn uniformly.
_base_ = [
    "../../_base_/paper/imagenet.py",
    "../../_base_/backbones/supernet.py",
    "../../_base_/spaces/large.py",
]
