# RetinaNet on the scenes of the demo.
_base_ = ["./retinanet.py", "../_base_/datasets/digits.py"]
batch_size = 8
fpn_channels = 31
