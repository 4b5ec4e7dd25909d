# The found network from the supernet's weights.
_base_ = [
    "./detector.py",
    "../../../configs/_base_/backbones/subnet.py",
]
load_from = "{experiment}/finetune/final.pth"
