# Path-wise fine-tuning of the small supernet on COCO under RetinaNet.
_base_ = [
    "../../_base_/paper/coco_retinanet.py",
    "../../_base_/paper/supernet.py",
    "../../_base_/spaces/small.py",
]
