# A shortened search (6 candidates) for the best path under 300M MACs on BCCD's search split.
_base_ = ["./finetune.py", "../_base_/search.py"]
search = dict(
    strategy=dict(
        type="evolution", generations=2, population=3, parents=2, mutations=1, crossovers=1
    ),
    evaluator=dict(calibration_images=32, calibration_batch_size=8),
)
