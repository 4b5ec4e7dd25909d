# The network, scaled by `compound`, trained on ImageNet.
_base_ = ["./network.py", "../_base_/paper/imagenet.py"]
