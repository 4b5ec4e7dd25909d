# Path-wise fine-tuning of the pretrained supernet on BCCD's train split. Its length decides how
# well the supernet ranks networks: docs/fidelity.md.
_base_ = ["./detector.py", "../_base_/backbones/supernet.py"]
pretrained = "{experiment}/pretrain/final.pth"
max_iters = 1600
