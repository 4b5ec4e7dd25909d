# The network that the search found, made wider and deeper by `compound`.
_base_ = ["../_base_/backbones/scaled_subnet.py", "../_base_/spaces/small.py"]
compound = "d0"
