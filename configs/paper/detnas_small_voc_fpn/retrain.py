# The found network, retrained on PASCAL VOC under Faster R-CNN with FPN.
_base_ = [
    "../../_base_/paper/voc_fpn.py",
    "../../_base_/paper/subnet.py",
    "../../_base_/spaces/small.py",
]
