# The network that detnas_large_coco_fpn found, in wider channels.
_base_ = ["../../_base_/backbones/subnet.py", "../../_base_/spaces/large_wide.py"]
architecture = "{experiment}/../detnas_large_coco_fpn/search/best_architecture.json"
