# An EfficientDet on COCO with the authors' training; what builds on it sets `compound`.
_base_ = [
    "./models/efficientdet.py",
    "./backbones/efficientnet.py",
    "./preprocessing/imagenet.py",
    "./datasets/coco_scale_jitter.py",
    "./schedules/efficientdet_300e.py",
    "./schedules/ema.py",
    "./runtime.py",
]
