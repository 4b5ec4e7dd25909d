# Training on PASCAL VOC under RetinaNet, at half the learning rate: 8 GPUs of 2 images.
_base_ = [
    "../models/retinanet.py",
    "../datasets/voc.py",
    "../preprocessing/authors.py",
    "../schedules/voc.py",
    "../runtime.py",
]
lr = 0.01
