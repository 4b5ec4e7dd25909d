# Pretraining on Tiny ImageNet: a few iterations, to show that it runs.
_base_ = ["../coco_subset_retinanet/pretrain.py"]
