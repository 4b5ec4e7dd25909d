# The found network, retrained on COCO under RetinaNet as every other.
_base_ = ["../detnas_small_coco_retinanet/retrain.py"]
