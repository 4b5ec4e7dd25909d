# RetinaNet on blood cells.
_base_ = ["./retinanet.py", "../_base_/datasets/bccd.py"]
image_scale = (160, 120)
