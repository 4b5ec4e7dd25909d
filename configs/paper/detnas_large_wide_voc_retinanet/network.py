# The network that detnas_large_voc_retinanet found, in wider channels.
_base_ = ["../../_base_/backbones/subnet.py", "../../_base_/spaces/large_wide.py"]
architecture = "{experiment}/../detnas_large_voc_retinanet/search/best_architecture.json"
