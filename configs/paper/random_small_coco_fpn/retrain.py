# The found network, retrained on COCO under Faster R-CNN with FPN.
_base_ = ["../detnas_small_coco_fpn/retrain.py"]
