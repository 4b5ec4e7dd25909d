# The found network, retrained on COCO under Faster R-CNN with FPN as every other.
_base_ = ["../detnas_small_coco_fpn/retrain.py"]
