# The found network, retrained on COCO under RetinaNet.
_base_ = [
    "../../_base_/paper/coco_retinanet.py",
    "../../_base_/paper/subnet.py",
    "../../_base_/spaces/large.py",
]
