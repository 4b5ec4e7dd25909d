_base_ = ["../_base_/efficientdet_coco.py"]
compound = "d7x"
max_iters = 554400  # 600 epochs
