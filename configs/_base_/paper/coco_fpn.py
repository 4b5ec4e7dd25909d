# Training on COCO under Faster R-CNN with FPN: 8 GPUs of 2 images.
_base_ = [
    "../models/faster_rcnn.py",
    "../datasets/coco.py",
    "../preprocessing/authors.py",
    "../schedules/coco_1x.py",
    "../runtime.py",
]
