# ResNet-50 from torchvision's ImageNet weights, trained on COCO under Faster R-CNN with FPN.
_base_ = [
    "../../_base_/models/faster_rcnn.py",
    "../../_base_/backbones/resnet50.py",
    "../../_base_/preprocessing/imagenet.py",
    "../../_base_/datasets/coco.py",
    "../../_base_/schedules/coco_1x.py",
    "../../_base_/runtime.py",
]
