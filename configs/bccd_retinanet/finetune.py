# Path-wise fine-tuning of the pretrained supernet on BCCD's train split.
_base_ = ["./detector.py", "../_base_/backbones/supernet.py"]
pretrained = "{experiment}/pretrain/final.pth"
