_base_ = ["../_base_/efficientdet_coco.py"]
compound = "d4"
