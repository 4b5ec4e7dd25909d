# The found network from the supernet's weights.
_base_ = ["./finetune.py"]
model = dict(
    backbone=dict(
        _delete_=True,
        type="DetNASNet",
        architecture="{experiment}/search/best_architecture.json",
    ),
)
train_dataloader = dict(dataset=dict(ann_file="annotations/instances_trainsearch.json"))
custom_hooks = []
load_from = "{experiment}/finetune/final.pth"
