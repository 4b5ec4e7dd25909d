# The search of configs/benchmark by classification accuracy, on its pretrained supernet: whether it
# pays to search on detection. `architecture=` then retrains what it finds by configs/benchmark.
_base_ = ["../benchmark/pretrain.py", "../_base_/search.py"]
pretrain_root = "{experiment}/../benchmark/data/classification"
test_dataloader = None
test_evaluator = None
test_cfg = None
search = dict(
    supernet="{experiment}/../benchmark/pretrain/final.pth",
    strategy=dict(
        type="evolution", generations=8, population=20, parents=8, mutations=8, crossovers=8
    ),
    evaluator=dict(calibration_images=200, calibration_batch_size=16, threads=1),
    random_baseline=0,
)
