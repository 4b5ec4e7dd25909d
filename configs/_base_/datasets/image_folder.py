# Classification images, one folder a class, under pretrain_root/train and pretrain_root/val. A data
# set's own file builds on this one and sets the values at the top.
pretrain_root = "data/images"
num_classes = 1000
pretrain_batch_size = 64  # of each process
num_workers = 1  # that load, of each process
train_pipeline = [dict(type="mmpretrain.LoadImageFromFile")]
test_pipeline = [dict(type="mmpretrain.LoadImageFromFile"), dict(type="mmpretrain.PackInputs")]
search_folder = "val"  # of a search that scores classification
score = "accuracy/top1"  # what ranks the candidates of a search


def _folder(name, shuffle, pipeline):
    return dict(
        batch_size="{pretrain_batch_size}",
        num_workers="{num_workers}",
        sampler=dict(type="DefaultSampler", shuffle=shuffle),
        collate_fn=dict(type="default_collate"),
        dataset=dict(
            type="mmpretrain.CustomDataset",
            data_root="{pretrain_root}",
            data_prefix=name,
            pipeline=pipeline,
        ),
    )


train_dataloader = _folder("train", True, "{train_pipeline}")
test_dataloader = _folder("val", False, "{test_pipeline}")
search_dataloader = _folder("{search_folder}", False, "{test_pipeline}")
test_evaluator = search_evaluator = dict(type="mmpretrain.Accuracy")
test_cfg = dict()
