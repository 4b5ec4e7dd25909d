# As in the demo: path-wise, on crops of digits.
_base_ = ["../demo/pretrain.py"]
