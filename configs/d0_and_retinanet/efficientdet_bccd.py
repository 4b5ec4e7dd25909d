# D0 on blood cells.
_base_ = ["./efficientdet.py", "../_base_/datasets/bccd.py"]
image_scale = (160, 120)
