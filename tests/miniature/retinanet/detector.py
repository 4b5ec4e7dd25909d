# The demo's detector for a few iterations.
_base_ = ["../../../configs/demo/detector.py"]
max_iters = 3
warmup_iters = 1
checkpoint_interval = 2
batch_size = 4
num_workers = 0
