# A few iterations of retraining on the COCO subset, to show that it runs; tested on val.
_base_ = ["./finetune.py"]
model = dict(
    backbone=dict(
        _delete_=True,
        type="DetNASNet",
        architecture="{experiment}/search/best_architecture.json",
        out_indices=(0, 1, 2, 3),
    ),
)
train_split = "trainsearch"
custom_hooks = []
load_from = "{experiment}/finetune/final.pth"
