# EfficientDet D0 for small images: backbone, BiFPN and head as published, in three levels.
_base_ = ["./detector.py", "../_base_/models/efficientdet.py"]
pyramid_levels = 3
anchor_scale = 2.0
