# The found network, from random weights.
_base_ = ["./detector.py", "../../_base_/backbones/subnet.py"]
