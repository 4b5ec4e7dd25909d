# The search of configs/benchmark by classification accuracy, on its pretrained supernet: whether it
# pays to search on detection. `architecture=` then retrains what it finds by configs/benchmark.
_base_ = ["../benchmark/pretrain.py", "../benchmark/evolution.py"]
pretrain_root = "{experiment}/../benchmark/data/classification"
test_dataloader = None
test_evaluator = None
test_cfg = None
search = dict(supernet="{experiment}/../benchmark/pretrain/final.pth")
