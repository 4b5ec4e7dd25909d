# The small supernet, pretrained on ImageNet as the paper does.
_base_ = ["../paper/supernet_small/pretrain.py"]
