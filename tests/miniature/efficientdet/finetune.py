# Path-wise fine-tuning.
_base_ = [
    "./detector.py",
    "../../../configs/_base_/backbones/supernet.py",
]
pretrained = "{experiment}/pretrain/final.pth"
