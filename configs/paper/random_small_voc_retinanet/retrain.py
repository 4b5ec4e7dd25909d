# The found network, retrained on PASCAL VOC under RetinaNet.
_base_ = ["../detnas_small_voc_retinanet/retrain.py"]
