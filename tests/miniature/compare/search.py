# Four candidates and two random ones.
_base_ = ["../retinanet/search.py"]
