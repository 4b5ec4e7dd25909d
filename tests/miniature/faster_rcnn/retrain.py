# The found network from the supernet's weights.
_base_ = ["./finetune.py"]
model = dict(
    backbone=dict(
        _delete_=True,
        type="DetNASNet",
        architecture="{experiment}/search/best_architecture.json",
    ),
)
train_split = "trainsearch"
custom_hooks = []
load_from = "{experiment}/finetune/final.pth"
