# The paper's on VOC: a quarter of COCO's.
_base_ = ["./coco_1x.py"]
max_iters = 22500
steps = [15000, 20000]
