# The experiment's network, trained on ImageNet by its stage pretrain_subnet.
_base_ = ["../backbones/subnet.py"]
pretrained = "{experiment}/pretrain_subnet/final.pth"
