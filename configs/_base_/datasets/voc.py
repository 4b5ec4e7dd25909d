# PASCAL VOC, trainval of 2007 and 2012 to train on, test of 2007 to report, under data/VOCdevkit,
# and the split that
#   detnas split data/VOCdevkit/VOC2007/ImageSets/Main/trainval.txt \
#       data/VOCdevkit/VOC2012/ImageSets/Main/trainval.txt --take 5000 --seed 0 \
#       -o data/VOCdevkit/splits
# carves out of the 16,551 training images.
_base_ = ["./voc_detection.py"]
metainfo = dict(_delete_=True)  # mmdet's VOCDataset knows the classes
num_classes = 20
image_scale = (1000, 600)
batch_size = 2
num_workers = 2
filter_cfg = dict(filter_empty_gt=True, min_size=32, bbox_min_size=32)


def _both_years(split, **options):
    years = [
        dict(
            type="VOCDataset",
            data_root="{data_root}",
            ann_file=f"splits/VOC{year}_{split}.txt",
            data_prefix=dict(sub_data_root=f"VOC{year}/"),
            metainfo="{metainfo}",
            **options,
        )
        for year in (2007, 2012)
    ]
    return dict(_delete_=True, type="ConcatDataset", ignore_keys=["dataset_type"], datasets=years)


train_dataloader = dict(
    batch_sampler=dict(type="AspectRatioBatchSampler"),
    dataset=_both_years("{train_split}", filter_cfg="{filter_cfg}", pipeline="{train_pipeline}"),
)
search_dataloader = dict(dataset=_both_years("search", test_mode=True, pipeline="{test_pipeline}"))
