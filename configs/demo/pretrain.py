# Path-wise pretraining of the tiny space on crops of handwritten digits.
_base_ = ["../_base_/models/classifier.py", "../_base_/runtime.py"]
data_root = "{experiment}/data/classification"
model = dict(
    backbone=dict(space="tiny"),
    neck=dict(in_channels=256, out_channels=256),
    head=dict(num_classes=10, in_channels=256, topk=(1,)),
)
data_preprocessor = dict(
    type="mmpretrain.ClsDataPreprocessor",
    num_classes=10,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    dataset=dict(
        type="mmpretrain.CustomDataset",
        data_root="{data_root}",
        data_prefix="train",
        pipeline=[
            dict(type="mmpretrain.LoadImageFromFile"),
            dict(type="mmpretrain.RandomCrop", crop_size=48, padding=6),
            dict(type="mmpretrain.PackInputs"),
        ],
    ),
)
max_iters = 700
train_cfg = dict(type="IterBasedTrainLoop", max_iters=max_iters, val_interval=100000)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=4e-5),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, begin=0, end=30, by_epoch=False),
    dict(
        type="LinearLR", start_factor=1.0, end_factor=0.0, begin=30, end=max_iters, by_epoch=False
    ),
]

# Too short a schedule for random paths from the start: see PathSamplingHook.
custom_hooks = [dict(type="PathSamplingHook", warmup_iters=250)]
