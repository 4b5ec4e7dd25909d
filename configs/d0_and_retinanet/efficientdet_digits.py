# D0 on the scenes of the demo.
_base_ = ["./efficientdet.py", "../_base_/datasets/digits.py"]
batch_size = 8
