# ShuffleNetV2-40 (every block 3x3), the paper's 1.3G one.
_base_ = ["../../_base_/backbones/subnet.py", "../../_base_/spaces/large.py"]
architecture = "shufflenetv2-40"
