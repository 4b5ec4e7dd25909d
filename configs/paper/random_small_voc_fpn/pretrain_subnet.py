# The found network, trained on ImageNet.
_base_ = ["../detnas_small_voc_fpn/pretrain_subnet.py"]
