# COCO 2017 under data/coco, as mmdetection lays it out, and the split that
#   detnas split data/coco/annotations/instances_train2017.json --take 5000 --seed 0 \
#       -o data/coco/annotations
# carves out of its training images (the paper's trainval35k, less 5,000 to search on).
_base_ = ["./coco_detection.py"]
metainfo = dict(_delete_=True)  # mmdet's CocoDataset knows the classes
num_classes = 80
batch_size = 2
num_workers = 2
filter_cfg = dict(filter_empty_gt=True, min_size=32)
test_ann_file = "annotations/instances_val2017.json"
train_folder = search_folder = "train2017/"
test_folder = "val2017/"
train_dataloader = dict(batch_sampler=dict(type="AspectRatioBatchSampler"))
