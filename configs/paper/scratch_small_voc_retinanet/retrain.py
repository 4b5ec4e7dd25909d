# The found network, retrained on PASCAL VOC under RetinaNet as every other.
_base_ = ["../detnas_small_voc_retinanet/retrain.py"]
