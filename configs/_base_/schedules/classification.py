# Short: SGD with warm-up and linear decay to zero, no weight decay on one-dimensional parameters.
max_iters = 2000
warmup_iters = 100
lr = 0.1
checkpoint_interval = 100
train_cfg = dict(type="IterBasedTrainLoop", max_iters="{max_iters}", val_interval=100000)
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="TwoGroups",
    optimizer=dict(type="SGD", lr="{lr}", momentum=0.9, weight_decay=4e-5),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, begin=0, end="{warmup_iters}", by_epoch=False),
    dict(
        type="LinearLR",
        start_factor=1.0,
        end_factor=0.0,
        begin="{warmup_iters}",
        end="{max_iters}",
        by_epoch=False,
    ),
]
