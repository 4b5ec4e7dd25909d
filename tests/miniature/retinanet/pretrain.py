# A few iterations of the demo's pretraining.
_base_ = ["../../../configs/demo/pretrain.py"]
max_iters = 4
warmup_iters = 1
train_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False)
default_hooks = dict(checkpoint=dict(interval=2))
custom_hooks = [dict(type="PathSamplingHook", warmup_iters=2)]
