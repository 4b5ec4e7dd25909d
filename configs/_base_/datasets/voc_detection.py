# Any data set in PASCAL VOC's layout under data_root/folder (Annotations, JPEGImages), in three
# lists of image ids and that of train + search. A data set's own file builds on this one and sets
# the values at the top. `detnas split` writes the lists as "splits/<folder>_<split>.txt".
_base_ = ["./detection.py"]
data_root = "data/VOCdevkit"
folder = "VOC2007"
classes = ()
metainfo = dict(classes="{classes}")
filter_cfg = dict(filter_empty_gt=False)
train_ann_file = "splits/{folder}_{train_split}.txt"
search_ann_file = "splits/{folder}_search.txt"
test_ann_file = "{folder}/ImageSets/Main/test.txt"
score = "pascal_voc/mAP"  # what ranks the candidates of a search


def _images(ann_file, shuffle, **options):
    return dict(
        batch_size="{batch_size}",
        num_workers="{num_workers}",
        sampler=dict(type="DefaultSampler", shuffle=shuffle),
        dataset=dict(
            type="VOCDataset",
            data_root="{data_root}",
            ann_file=ann_file,
            data_prefix=dict(sub_data_root="{folder}/"),
            metainfo="{metainfo}",
            **options,
        ),
    )


train_dataloader = _images(
    "{train_ann_file}", True, filter_cfg="{filter_cfg}", pipeline="{train_pipeline}"
)
test_dataloader = _images("{test_ann_file}", False, test_mode=True, pipeline="{test_pipeline}")
test_evaluator = search_evaluator = dict(type="VOCMetric", metric="mAP", eval_mode="11points")
# What a search scores its candidates on: see _base_/search.py.
search_dataloader = _images("{search_ann_file}", False, test_mode=True, pipeline="{test_pipeline}")
