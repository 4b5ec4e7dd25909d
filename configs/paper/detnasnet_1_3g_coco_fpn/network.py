# The network that the authors found and published.
_base_ = ["../../_base_/backbones/subnet.py", "../../_base_/spaces/large.py"]
architecture = "detnasnet-1.3g-coco-fpn"
