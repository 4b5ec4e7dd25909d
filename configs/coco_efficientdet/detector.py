# EfficientDet over the small space on COCO. `compound` sets resolution, BiFPN and head of all
# stages, and makes the networks of network.py wider and deeper: the supernet stays as it is.
_base_ = [
    "../_base_/models/efficientdet.py",
    "../_base_/spaces/small.py",
    "../_base_/datasets/coco_scale_jitter.py",
    "../_base_/preprocessing/authors.py",
    "../_base_/schedules/efficientdet_300e.py",
    "../_base_/runtime.py",
]
batch_size = 16  # on each of 8 GPUs
