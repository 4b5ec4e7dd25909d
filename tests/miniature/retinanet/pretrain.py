# A few iterations of the demo's pretraining.
_base_ = ["../../../configs/demo/pretrain.py"]
max_iters = 4
warmup_iters = 1
checkpoint_interval = 2
path_warmup_iters = 2
pretrain_batch_size = 8
num_workers = 0
