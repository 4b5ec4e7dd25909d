# Training on ImageNet, of supernets and of single networks: 8 GPUs of 128 images.
_base_ = [
    "../models/classifier.py",
    "../datasets/imagenet.py",
    "../preprocessing/authors.py",
    "../schedules/imagenet_300k.py",
    "../runtime.py",
]
