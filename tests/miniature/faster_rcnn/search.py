# Two candidates, whatever they cost.
_base_ = ["./finetune.py", "../../../configs/_base_/search.py"]
search = dict(
    strategy=dict(type="random", generations=1, population=2),
    budgets=[],
    evaluator=dict(calibration_images=4, calibration_batch_size=2, threads=2),
)
