# How the searches of this benchmark propose and score, on detection and on classification.
_base_ = ["../_base_/search.py"]
search = dict(
    strategy=dict(
        type="evolution", generations=8, population=20, parents=8, mutations=8, crossovers=8
    ),
    evaluator=dict(calibration_images=200, calibration_batch_size=16, threads=1),
    random_baseline=0,  # the first generation is a random draw
)
