# The found network, trained on ImageNet.
_base_ = ["../detnas_small_voc_retinanet/pretrain_subnet.py"]
