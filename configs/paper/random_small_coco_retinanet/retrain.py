# The found network, retrained on COCO under RetinaNet.
_base_ = ["../detnas_small_coco_retinanet/retrain.py"]
