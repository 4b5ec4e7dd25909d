# Evolutionary search in the tiny space, scored on the search split's scenes.
_base_ = ["./finetune.py", "../_base_/search.py"]
search = dict(
    strategy=dict(
        type="evolution", generations=4, population=10, parents=4, mutations=4, crossovers=4
    ),
    evaluator=dict(calibration_images=128, calibration_batch_size=16, threads=2),
    random_baseline=10,
)
