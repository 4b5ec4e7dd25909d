# Classification images, one folder a class, under pretrain_root/train and pretrain_root/val. A data
# set's own file builds on this one and sets the values at the top.
pretrain_root = "data/images"
num_classes = 1000
pretrain_batch_size = 64
data_preprocessor = dict(
    type="mmpretrain.ClsDataPreprocessor",
    num_classes="{num_classes}",
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
train_pipeline = [dict(type="mmpretrain.LoadImageFromFile")]
train_dataloader = dict(
    batch_size="{pretrain_batch_size}",
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    dataset=dict(
        type="mmpretrain.CustomDataset",
        data_root="{pretrain_root}",
        data_prefix="train",
        pipeline="{train_pipeline}",
    ),
)
test_dataloader = dict(
    batch_size="{pretrain_batch_size}",
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
test_cfg = dict()
test_evaluator = dict(type="mmpretrain.Accuracy")
