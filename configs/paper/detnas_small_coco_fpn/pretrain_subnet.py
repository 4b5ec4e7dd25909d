# The found network, trained on ImageNet.
_base_ = [
    "../../_base_/paper/imagenet.py",
    "../../_base_/backbones/subnet.py",
    "../../_base_/spaces/small.py",
]
