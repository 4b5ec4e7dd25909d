# The network that the authors published, that of 1.3G in wider channels.
_base_ = ["../../_base_/backbones/subnet.py", "../../_base_/spaces/large_wide.py"]
architecture = "detnasnet-3.8g-coco-fpn"
