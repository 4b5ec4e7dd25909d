# Training on PASCAL VOC under Faster R-CNN with FPN: 8 GPUs of 2 images.
_base_ = [
    "../models/faster_rcnn.py",
    "../datasets/voc.py",
    "../preprocessing/authors.py",
    "../schedules/voc.py",
    "../runtime.py",
]
