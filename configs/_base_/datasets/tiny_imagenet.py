# Fifty classes of Tiny ImageNet, 64x64, in ImageFolder layout (see docs/data.md).
pretrain_root = "data/tiny_imagenet_subset"
num_classes = 50
data_preprocessor = dict(
    type="mmpretrain.ClsDataPreprocessor",
    num_classes=num_classes,
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
        data_root="{pretrain_root}",
        data_prefix="train",
        pipeline=[
            dict(type="mmpretrain.LoadImageFromFile"),
            dict(type="mmpretrain.RandomResizedCrop", scale=64, crop_ratio_range=(0.35, 1.0)),
            dict(type="mmpretrain.RandomFlip", prob=0.5, direction="horizontal"),
            dict(type="mmpretrain.ColorJitter", brightness=0.4, contrast=0.4, saturation=0.4),
            dict(type="mmpretrain.PackInputs"),
        ],
    ),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=1,
    sampler=dict(type="DefaultSampler", shuffle=False),
    collate_fn=dict(type="default_collate"),
    dataset=dict(
        type="mmpretrain.CustomDataset",
        data_root="{pretrain_root}",
        data_prefix="val",
        pipeline=[
            dict(type="mmpretrain.LoadImageFromFile"),
            dict(type="mmpretrain.PackInputs"),
        ],
    ),
)
val_cfg = dict()
val_evaluator = dict(type="mmpretrain.Accuracy", topk=(1, 5))
test_dataloader = val_dataloader
test_cfg = dict()
test_evaluator = val_evaluator
