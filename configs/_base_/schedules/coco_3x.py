# Three times COCO's "1x", for training from scratch. (How long the paper trains from scratch is not
# known to us.)
_base_ = ["./coco_1x.py"]
max_iters = 270000
steps = [180000, 240000]
