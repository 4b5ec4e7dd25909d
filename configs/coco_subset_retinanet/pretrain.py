# A few iterations of pretraining on Tiny ImageNet, to show that it runs.
_base_ = ["../bccd_retinanet/pretrain.py"]
max_iters = 6
warmup_iters = 2
path_warmup_iters = 3
