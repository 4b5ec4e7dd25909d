# The found network, retrained on COCO under Faster R-CNN with FPN.
_base_ = [
    "../../_base_/paper/coco_fpn.py",
    "../../_base_/paper/subnet.py",
    "../../_base_/spaces/small.py",
]
