# The found network, trained on ImageNet.
_base_ = ["../detnas_small_coco_fpn/pretrain_subnet.py"]
