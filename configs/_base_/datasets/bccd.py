# Blood cells under a microscope, 640x480, three classes (see docs/data.md). Half size is enough.
data_root = "data/bccd"
classes = ("RBC", "WBC", "Platelets")
image_scale = (320, 240)
metainfo = dict(classes=classes)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Resize", scale=image_scale, keep_ratio=True),
    dict(
        type="RandomFlip", prob=[0.25, 0.25, 0.25], direction=["horizontal", "vertical", "diagonal"]
    ),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=image_scale, keep_ratio=True),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="CocoDataset",
        data_root="{data_root}",
        ann_file="annotations/instances_train.json",
        data_prefix=dict(img="images/"),
        metainfo=metainfo,
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=train_pipeline,
    ),
)
# What a search scores its candidates on: `val_dataloader` of the search configs.
search_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="CocoDataset",
        data_root="{data_root}",
        ann_file="annotations/instances_search.json",
        data_prefix=dict(img="images/"),
        metainfo=metainfo,
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
search_evaluator = dict(
    type="UnroundedCocoMetric",
    ann_file="{data_root}/annotations/instances_search.json",
    metric="bbox",
)
test_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="CocoDataset",
        data_root="{data_root}",
        ann_file="annotations/instances_val.json",
        data_prefix=dict(img="images/"),
        metainfo=metainfo,
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_cfg = dict(type="TestLoop")
test_evaluator = dict(
    type="UnroundedCocoMetric",
    ann_file="{data_root}/annotations/instances_val.json",
    metric="bbox",
)
