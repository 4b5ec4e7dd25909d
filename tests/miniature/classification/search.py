# Two candidates scored by top-1 accuracy, as ClsNASNet is searched.
_base_ = ["./pretrain.py", "../../../configs/_base_/search.py"]
test_dataloader = None
test_evaluator = None
test_cfg = None
search = dict(
    supernet="{experiment}/pretrain/final.pth",
    strategy=dict(type="random", generations=1, population=2),
    evaluator=dict(calibration_images=8, calibration_batch_size=4, threads=2),
)
