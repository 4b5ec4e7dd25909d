# DetNAS-scratch: the small supernet trained from random weights, three times as long, batch norm
# live everywhere, on COCO under Faster R-CNN with FPN.
_base_ = [
    "../../_base_/models/faster_rcnn.py",
    "../../_base_/datasets/coco.py",
    "../../_base_/preprocessing/authors.py",
    "../../_base_/schedules/coco_3x.py",
    "../../_base_/runtime.py",
    "../../_base_/backbones/supernet.py",
    "../../_base_/spaces/small.py",
]
