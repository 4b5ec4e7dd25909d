# Evolutionary search in the tiny space, scored on the search split's scenes.
_base_ = ["./finetune.py"]
val_dataloader = {{_base_.search_dataloader}}
val_cfg = dict(type="ValLoop")
val_evaluator = {{_base_.search_evaluator}}
search = dict(
    supernet="{experiment}/finetune/final.pth",
    strategy=dict(
        type="evolution", generations=3, population=10, parents=4, mutations=4, crossovers=4
    ),
    budgets=[dict(cost="macs", upper=40e6)],
    score="coco/bbox_mAP",
    evaluator=dict(calibration_images=128, calibration_batch_size=16, threads=2),
    random_baseline=8,
)
