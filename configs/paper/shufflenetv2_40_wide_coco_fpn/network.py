# ShuffleNetV2-40 (every block 3x3) in wider channels, the paper's 3.8G one.
_base_ = ["../../_base_/backbones/subnet.py", "../../_base_/spaces/large_wide.py"]
architecture = "shufflenetv2-40"
