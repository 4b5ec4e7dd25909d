# As under RetinaNet.
_base_ = ["../bccd_retinanet/pretrain.py"]
