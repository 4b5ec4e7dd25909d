# Any COCO-format data set in four annotation files under data_root/annotations. A data set's own
# file builds on this one and sets the values at the top.
_base_ = ["./detection.py"]
data_root = "data/coco"
classes = ()
metainfo = dict(classes="{classes}")
filter_cfg = dict(filter_empty_gt=False)
train_ann_file = "annotations/instances_{train_split}.json"
search_ann_file = "annotations/instances_search.json"
test_ann_file = "annotations/instances_val.json"
train_folder = search_folder = test_folder = "images/"
score = "coco/bbox_mAP"  # what ranks the candidates of a search


def _images(ann_file, folder, shuffle, **options):
    return dict(
        batch_size="{batch_size}",
        num_workers="{num_workers}",
        sampler=dict(type="DefaultSampler", shuffle=shuffle),
        dataset=dict(
            type="CocoDataset",
            data_root="{data_root}",
            ann_file=ann_file,
            data_prefix=dict(img=folder),
            metainfo="{metainfo}",
            **options,
        ),
    )


def _scored(ann_file, folder):
    return _images(ann_file, folder, False, test_mode=True, pipeline="{test_pipeline}")


def _metric(ann_file):
    return dict(type="UnroundedCocoMetric", ann_file="{data_root}/" + ann_file, metric="bbox")


train_dataloader = _images(
    "{train_ann_file}",
    "{train_folder}",
    True,
    filter_cfg="{filter_cfg}",
    pipeline="{train_pipeline}",
)
test_dataloader = _scored("{test_ann_file}", "{test_folder}")
test_evaluator = _metric("{test_ann_file}")
# What a search scores its candidates on: see _base_/search.py.
search_dataloader = _scored("{search_ann_file}", "{search_folder}")
search_evaluator = _metric("{search_ann_file}")
