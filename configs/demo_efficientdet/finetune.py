# Path-wise fine-tuning of the supernet under BiFPN and EfficientDet's head.
_base_ = ["./detector.py", "../_base_/backbones/supernet.py"]
pretrained = "{experiment}/pretrain/final.pth"
max_iters = 900
lr = 0.06
