# The found network, retrained on PASCAL VOC under RetinaNet.
_base_ = [
    "../../_base_/paper/voc_retinanet.py",
    "../../_base_/paper/subnet.py",
    "../../_base_/spaces/small.py",
]
