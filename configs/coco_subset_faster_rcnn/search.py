# Search on the COCO subset: a few candidates, to show that it runs.
_base_ = ["./finetune.py"]
val_dataloader = {{_base_.search_dataloader}}
val_cfg = dict(type="ValLoop")
val_evaluator = {{_base_.search_evaluator}}
search = dict(
    supernet="{experiment}/finetune/final.pth",
    strategy=dict(
        type="evolution", generations=2, population=2, parents=1, mutations=1, crossovers=0
    ),
    budgets=[dict(cost="macs", upper=300e6)],
    score="coco/bbox_mAP",
    evaluator=dict(calibration_images=16, calibration_batch_size=8, threads=2),
    random_baseline=0,
)
