# DetNAS-scratch on PASCAL VOC under RetinaNet: no ImageNet anywhere, three
# times as long, batch norm live in backbone, neck and head.
_base_ = [
    "../../_base_/models/retinanet_sep_bn.py",
    "../../_base_/spaces/small.py",
    "../../_base_/datasets/voc.py",
    "../../_base_/preprocessing/authors.py",
    "../../_base_/schedules/voc_3x.py",
    "../../_base_/runtime.py",
]
lr = 0.01
