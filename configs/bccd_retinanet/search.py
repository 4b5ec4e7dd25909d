# Evolutionary search for the best path under 300M MACs, scored on BCCD's search split.
_base_ = ["./finetune.py", "../_base_/search.py"]
search = dict(
    strategy=dict(
        type="evolution", generations=4, population=16, parents=5, mutations=6, crossovers=6
    ),
    evaluator=dict(calibration_images=200, calibration_batch_size=8),
    random_baseline=8,
)
