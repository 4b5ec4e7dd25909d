# Any COCO-format data set in four annotation files under data_root/annotations. A data set's own
# file builds on this one and sets the values at the top.
data_root = "data/coco"
classes = ()
image_scale = (1333, 800)
batch_size = 8
flip = dict(type="RandomFlip", prob=0.5)
filter_cfg = dict(filter_empty_gt=False)
train_split = "train"  # retraining takes "trainsearch"

train_dataloader = dict(
    batch_size="{batch_size}",
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="CocoDataset",
        data_root="{data_root}",
        ann_file="annotations/instances_{train_split}.json",
        data_prefix=dict(img="images/"),
        metainfo=dict(classes="{classes}"),
        filter_cfg="{filter_cfg}",
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="LoadAnnotations", with_bbox=True),
            dict(type="Resize", scale="{image_scale}", keep_ratio=True),
            "{flip}",
            dict(type="PackDetInputs"),
        ],
    ),
)
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale="{image_scale}", keep_ratio=True),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PackDetInputs"),
]
test_dataloader = dict(
    batch_size="{batch_size}",
    num_workers=1,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="CocoDataset",
        data_root="{data_root}",
        ann_file="annotations/instances_val.json",
        data_prefix=dict(img="images/"),
        metainfo=dict(classes="{classes}"),
        test_mode=True,
        pipeline="{test_pipeline}",
    ),
)
test_cfg = dict(type="TestLoop")
test_evaluator = dict(
    type="UnroundedCocoMetric",
    ann_file="{data_root}/annotations/instances_val.json",
    metric="bbox",
)
# What a search scores its candidates on: see _base_/search.py.
search_dataloader = dict(
    batch_size="{batch_size}",
    num_workers=1,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="CocoDataset",
        data_root="{data_root}",
        ann_file="annotations/instances_search.json",
        data_prefix=dict(img="images/"),
        metainfo=dict(classes="{classes}"),
        test_mode=True,
        pipeline="{test_pipeline}",
    ),
)
search_evaluator = dict(
    type="UnroundedCocoMetric",
    ann_file="{data_root}/annotations/instances_search.json",
    metric="bbox",
)
