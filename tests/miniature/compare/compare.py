# Two networks of the space and a stock backbone, by the recipe of retraining.
_base_ = ["./retrain.py"]
compare = dict(networks=["3x3", "random"], stock=dict(narrow_resnet="{{ fileDirname }}/resnet.py"))
