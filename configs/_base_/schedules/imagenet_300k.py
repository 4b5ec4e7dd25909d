# The paper's on ImageNet, for supernets and single networks: 300,000 iterations of 1,024 images on
# 8 GPUs, linear decay to zero, no weight decay on one-dimensional parameters.
max_iters = 300000
lr = 0.5
train_cfg = dict(type="IterBasedTrainLoop", max_iters="{max_iters}", val_interval="{max_iters}")
optim_wrapper = dict(
    type="OptimWrapper",
    constructor="TwoGroups",
    optimizer=dict(type="SGD", lr="{lr}", momentum=0.9, weight_decay=4e-5),
)
param_scheduler = [
    dict(
        type="LinearLR",
        start_factor=1.0,
        end_factor=0.0,
        begin=0,
        end="{max_iters}",
        by_epoch=False,
    )
]
auto_scale_lr = dict(enable=False, base_batch_size=1024)
checkpoint_interval = 5000
path_validation = dict(interval=10000, paths=4)  # of a supernet: its loss alone is blind
