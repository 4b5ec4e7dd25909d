# The found network from the supernet's weights.
_base_ = ["../retinanet/retrain.py"]
