# Evolutionary search, scored on the search split's scenes by two processes.
_base_ = ["./finetune.py", "../_base_/search.py"]
search = dict(
    strategy=dict(
        type="evolution", generations=5, population=12, parents=5, mutations=5, crossovers=5
    ),
    evaluator=dict(calibration_images=128, calibration_batch_size=16, threads=1),
    executor=dict(type="processes", workers=2),
)
