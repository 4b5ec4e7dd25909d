# The found network, trained on ImageNet.
_base_ = ["../detnas_small_coco_retinanet/pretrain_subnet.py"]
