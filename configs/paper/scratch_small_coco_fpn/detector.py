# DetNAS-scratch on COCO under Faster R-CNN with FPN: no ImageNet anywhere, three
# times as long, batch norm live in backbone, neck and head.
_base_ = [
    "../../_base_/models/faster_rcnn.py",
    "../../_base_/spaces/small.py",
    "../../_base_/datasets/coco.py",
    "../../_base_/preprocessing/authors.py",
    "../../_base_/schedules/coco_3x.py",
    "../../_base_/runtime.py",
]
