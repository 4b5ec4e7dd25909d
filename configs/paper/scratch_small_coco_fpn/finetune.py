# The small supernet, path-wise from random weights.
_base_ = ["./detector.py", "../../_base_/backbones/supernet.py"]
