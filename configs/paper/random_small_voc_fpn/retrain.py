# The found network, retrained on PASCAL VOC under Faster R-CNN with FPN.
_base_ = ["../detnas_small_voc_fpn/retrain.py"]
