# SGD with warm-up and cosine decay, for the short schedules of small data sets.
max_iters = 800
warmup_iters = 50
lr = 0.02
checkpoint_interval = 100
train_cfg = dict(type="IterBasedTrainLoop", max_iters="{max_iters}", val_interval=100000)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr="{lr}", momentum=0.9, weight_decay=1e-4),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, begin=0, end="{warmup_iters}", by_epoch=False),
    dict(
        type="CosineAnnealingLR",
        begin="{warmup_iters}",
        end="{max_iters}",
        eta_min=0.0,
        by_epoch=False,
    ),
]
