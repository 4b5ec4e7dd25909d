# As under RetinaNet.
_base_ = ["../retinanet/pretrain.py"]
