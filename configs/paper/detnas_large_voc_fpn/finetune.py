# Path-wise fine-tuning of the large supernet on PASCAL VOC under Faster R-CNN with FPN.
_base_ = [
    "../../_base_/paper/voc_fpn.py",
    "../../_base_/paper/supernet.py",
    "../../_base_/spaces/large.py",
]
