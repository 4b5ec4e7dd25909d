# The same pretraining as for RetinaNet.
_base_ = ["../bccd_retinanet/pretrain.py"]
