# Three times the paper's schedule on VOC, for training from scratch.
_base_ = ["./voc.py"]
max_iters = 67500
steps = [45000, 60000]
