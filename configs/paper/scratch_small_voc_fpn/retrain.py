# The found network, retrained on PASCAL VOC under Faster R-CNN with FPN as every other.
_base_ = ["../detnas_small_voc_fpn/retrain.py"]
