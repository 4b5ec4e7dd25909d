# As under RetinaNet.
_base_ = ["../coco_subset_retinanet/pretrain.py"]
