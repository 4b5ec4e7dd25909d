# ShuffleNetV2-20 (every block 3x3), trained on ImageNet.
_base_ = [
    "../../_base_/paper/imagenet.py",
    "../../_base_/backbones/subnet.py",
    "../../_base_/spaces/small.py",
]
architecture = "shufflenetv2-20"
