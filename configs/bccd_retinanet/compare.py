# Is the found network better? Trains ShuffleNetV2, a random network in the budget and ResNet-50 by
# the recipe of retraining.
_base_ = ["./retrain.py"]
compare = dict(
    networks=["3x3", "random"],
    stock=dict(resnet50="{{ fileDirname }}/resnet50.py"),
)
