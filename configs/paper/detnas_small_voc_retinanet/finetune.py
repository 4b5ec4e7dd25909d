# Path-wise fine-tuning of the small supernet on PASCAL VOC under RetinaNet.
_base_ = [
    "../../_base_/paper/voc_retinanet.py",
    "../../_base_/paper/supernet.py",
    "../../_base_/spaces/small.py",
]
