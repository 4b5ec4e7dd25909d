# A few candidates on the COCO subset, to show that the search runs.
_base_ = ["./finetune.py", "../_base_/search.py"]
search = dict(
    strategy=dict(
        type="evolution", generations=2, population=2, parents=1, mutations=1, crossovers=0
    ),
    evaluator=dict(calibration_images=16, calibration_batch_size=8),
)
