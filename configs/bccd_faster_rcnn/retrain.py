# The found network, retrained from the supernet's weights on train + search, tested on val.
_base_ = ["./detector.py", "../_base_/backbones/subnet.py"]
load_from = "{experiment}/finetune/final.pth"
max_iters = 200
