# The paper's on COCO, "1x": 90,000 iterations of 16 images on 8 GPUs, a tenth of the rate at two
# steps.
max_iters = 90000
steps = [60000, 80000]
warmup_iters = 500
lr = 0.02
train_cfg = dict(type="IterBasedTrainLoop", max_iters="{max_iters}", val_interval="{max_iters}")
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr="{lr}", momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1 / 3, begin=0, end="{warmup_iters}", by_epoch=False),
    dict(type="MultiStepLR", milestones="{steps}", gamma=0.1, by_epoch=False),
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
checkpoint_interval = 2500
