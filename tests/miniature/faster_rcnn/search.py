# Two candidates.
_base_ = ["./finetune.py"]
val_dataloader = {{_base_.search_dataloader}}
val_cfg = dict(type="ValLoop")
val_evaluator = {{_base_.search_evaluator}}
search = dict(
    supernet="{experiment}/finetune/final.pth",
    strategy=dict(type="random", generations=1, population=2),
    evaluator=dict(calibration_images=4, calibration_batch_size=2, threads=2),
)
