# Faster R-CNN with FPN for the COCO subset, a few iterations to show that it runs.
_base_ = [
    "../_base_/models/faster_rcnn_narrow.py",
    "../_base_/spaces/small.py",
    "../_base_/preprocessing/imagenet.py",
    "../_base_/datasets/coco_subset.py",
    "../_base_/schedules/detection.py",
    "../_base_/runtime.py",
]
max_iters = 6
warmup_iters = 2
