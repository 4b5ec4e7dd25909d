# PASCAL VOC, trainval of 2007 and 2012 to train on, test of 2007 to report, under data/VOCdevkit,
# and the split that
#   detnas split data/VOCdevkit/VOC2007/ImageSets/Main/trainval.txt \
#       data/VOCdevkit/VOC2012/ImageSets/Main/trainval.txt --take 5000 --seed 0 \
#       -o data/VOCdevkit/splits
# carves out of the 16,551 training images.
_base_ = ["./detection.py"]
data_root = "data/VOCdevkit"
metainfo = dict()  # mmdet's VOCDataset knows the classes; another data set names its own
num_classes = 20
image_scale = (1000, 600)
batch_size = 2
num_workers = 2
filter_cfg = dict(filter_empty_gt=True, min_size=32, bbox_min_size=32)
score = "pascal_voc/mAP"  # what ranks the candidates of a search


def _year(year, ann_file, **options):
    return dict(
        type="VOCDataset",
        data_root="{data_root}",
        ann_file=ann_file,
        data_prefix=dict(sub_data_root=f"VOC{year}/"),
        metainfo="{metainfo}",
        **options,
    )


def _both_years(split, **options):
    years = [_year(year, f"splits/VOC{year}_{split}.txt", **options) for year in (2007, 2012)]
    return dict(type="ConcatDataset", ignore_keys=["dataset_type"], datasets=years)


def _images(dataset, shuffle):
    return dict(
        batch_size="{batch_size}",
        num_workers="{num_workers}",
        sampler=dict(type="DefaultSampler", shuffle=shuffle),
        dataset=dataset,
    )


_scored = dict(test_mode=True, pipeline="{test_pipeline}")
train_dataloader = dict(
    **_images(
        _both_years("{train_split}", filter_cfg="{filter_cfg}", pipeline="{train_pipeline}"), True
    ),
    batch_sampler=dict(type="AspectRatioBatchSampler"),
)
test_dataloader = _images(_year(2007, "VOC2007/ImageSets/Main/test.txt", **_scored), False)
test_evaluator = search_evaluator = dict(type="VOCMetric", metric="mAP", eval_mode="11points")
# What a search scores its candidates on: see _base_/search.py.
search_dataloader = _images(_both_years("search", **_scored), False)
