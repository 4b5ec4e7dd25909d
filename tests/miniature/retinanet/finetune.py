# A few iterations of the demo's fine-tuning.
_base_ = ["../../../configs/demo/finetune.py"]
max_iters = 3
warmup_iters = 1
batch_size = 4
train_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0)
search_dataloader = dict(num_workers=0)
default_hooks = dict(checkpoint=dict(interval=2))
