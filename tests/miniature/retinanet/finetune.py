# A few iterations of the demo's fine-tuning.
_base_ = ["../../../configs/demo/finetune.py"]
train_cfg = dict(max_iters=3)
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
test_dataloader = dict(batch_size=4, num_workers=0)
search_dataloader = dict(batch_size=4, num_workers=0)
default_hooks = dict(checkpoint=dict(interval=2))
param_scheduler = []
