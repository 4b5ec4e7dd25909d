# Path-wise fine-tuning of the small supernet on PASCAL VOC under Faster R-CNN with FPN.
_base_ = [
    "../../_base_/paper/voc_fpn.py",
    "../../_base_/paper/supernet.py",
    "../../_base_/spaces/small.py",
]
