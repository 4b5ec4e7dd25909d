# ClsNASNet: the same search, scored by top-1 accuracy on ImageNet's validation images, which are no
# images of the detection sets that its result is reported on.
_base_ = ["../supernet_small/pretrain.py", "../../_base_/paper/search.py"]
test_dataloader = None
test_evaluator = None
test_cfg = None
search = dict(supernet="{experiment}/../supernet_small/pretrain/final.pth")
