# Path-wise fine-tuning of the small supernet on COCO under Faster R-CNN with FPN.
_base_ = [
    "../../_base_/paper/coco_fpn.py",
    "../../_base_/paper/supernet.py",
    "../../_base_/spaces/small.py",
]
