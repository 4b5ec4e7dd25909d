# Four candidates and two random ones.
_base_ = ["./finetune.py", "../../../configs/_base_/search.py"]
search = dict(
    strategy=dict(
        type="evolution", generations=2, population=2, parents=2, mutations=1, crossovers=0
    ),
    evaluator=dict(calibration_images=6, calibration_batch_size=4, threads=2),
    random_baseline=2,
)
