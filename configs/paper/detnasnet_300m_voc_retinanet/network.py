# The network that the authors found and published.
_base_ = ["../../_base_/backbones/subnet.py", "../../_base_/spaces/small.py"]
architecture = "detnasnet-300m-voc-retinanet"
