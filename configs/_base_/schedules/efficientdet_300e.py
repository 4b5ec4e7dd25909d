# The EfficientDet authors' on COCO: 300 epochs of 118,287 images in batches of 128, that is 924
# iterations an epoch; a rate of 0.08 for every 64 images, one epoch of warm-up, cosine decay,
# gradient clipping. D7 and D7x take 600 epochs. The average of the weights is in ema.py.
max_iters = 277200
warmup_iters = 924
lr = 0.16
checkpoint_interval = 2500
train_cfg = dict(type="IterBasedTrainLoop", max_iters="{max_iters}", val_interval="{max_iters}")
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr="{lr}", momentum=0.9, weight_decay=4e-5),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
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
auto_scale_lr = dict(enable=False, base_batch_size=128)
