# Retraining of the found network on the COCO subset: a few iterations, to show that it runs.
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
max_iters = 6
train_cfg = dict(max_iters=max_iters)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, begin=0, end=2, by_epoch=False),
    dict(type="CosineAnnealingLR", begin=2, end=max_iters, eta_min=0.0, by_epoch=False),
]
