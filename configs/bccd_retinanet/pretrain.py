# Path-wise pretraining of the small space on Tiny ImageNet's 64x64 images: 12 epochs.
_base_ = [
    "../_base_/models/classifier.py",
    "../_base_/datasets/tiny_imagenet.py",
    "../_base_/runtime.py",
]
model = dict(head=dict(num_classes=50, topk=(1, 5)))
max_iters = 2000
train_cfg = dict(type="IterBasedTrainLoop", max_iters=max_iters, val_interval=100000)
val_dataloader = None
val_cfg = None
val_evaluator = None
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=4e-5),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, begin=0, end=100, by_epoch=False),
    dict(
        type="LinearLR", start_factor=1.0, end_factor=0.0, begin=100, end=max_iters, by_epoch=False
    ),
]

# Too short a schedule for random paths from the start: see PathSamplingHook.
custom_hooks = [dict(type="PathSamplingHook", warmup_iters=700)]
