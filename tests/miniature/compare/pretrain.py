# A few iterations of pretraining on crops of digits.
_base_ = ["../retinanet/pretrain.py"]
