# ResNet-101 with torchvision's ImageNet weights.
_base_ = ["./resnet50.py"]
backbone = dict(depth=101, init_cfg=dict(checkpoint="torchvision://resnet101"))
