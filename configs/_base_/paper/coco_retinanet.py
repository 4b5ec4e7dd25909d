# Training on COCO under RetinaNet, at half the learning rate: 8 GPUs of 2 images.
_base_ = [
    "../models/retinanet.py",
    "../datasets/coco.py",
    "../preprocessing/authors.py",
    "../schedules/coco_1x.py",
    "../runtime.py",
]
lr = 0.01
