# Any COCO-format data set in four annotation files under data_root/annotations. A data set's own
# file builds on this one and sets the values at the top.
data_root = "data/coco"
classes = ()
metainfo = dict(classes="{classes}")
image_scale = (1333, 800)
batch_size = 8  # of each process
num_workers = 1  # that load, of each process
flip = dict(type="RandomFlip", prob=0.5)
filter_cfg = dict(filter_empty_gt=False)
train_ann_file = "annotations/instances_{train_split}.json"
search_ann_file = "annotations/instances_search.json"
test_ann_file = "annotations/instances_val.json"
train_folder = search_folder = test_folder = "images/"
score = "coco/bbox_mAP"  # what ranks the candidates of a search

train_dataloader = dict(
    batch_size="{batch_size}",
    num_workers="{num_workers}",
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="CocoDataset",
        data_root="{data_root}",
        ann_file="{train_ann_file}",
        data_prefix=dict(img="{train_folder}"),
        metainfo="{metainfo}",
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


def _scored(ann_file, folder):
    return dict(
        batch_size="{batch_size}",
        num_workers="{num_workers}",
        sampler=dict(type="DefaultSampler", shuffle=False),
        dataset=dict(
            type="CocoDataset",
            data_root="{data_root}",
            ann_file=ann_file,
            data_prefix=dict(img=folder),
            metainfo="{metainfo}",
            test_mode=True,
            pipeline=[
                dict(type="LoadImageFromFile"),
                dict(type="Resize", scale="{image_scale}", keep_ratio=True),
                dict(type="LoadAnnotations", with_bbox=True),
                dict(type="PackDetInputs"),
            ],
        ),
    )


def _metric(ann_file):
    return dict(type="UnroundedCocoMetric", ann_file="{data_root}/" + ann_file, metric="bbox")


test_dataloader = _scored("{test_ann_file}", "{test_folder}")
test_evaluator = _metric("{test_ann_file}")
test_cfg = dict(type="TestLoop")
# What a search scores its candidates on: see _base_/search.py.
search_dataloader = _scored("{search_ann_file}", "{search_folder}")
search_evaluator = _metric("{search_ann_file}")
