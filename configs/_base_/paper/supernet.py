# The supernet of the experiment's space, pretrained on ImageNet by the experiment supernet_<space>.
_base_ = ["../backbones/supernet.py"]
supernet_weights = "{experiment}/../supernet_{space}/pretrain/final.pth"
pretrained = "{supernet_weights}"
