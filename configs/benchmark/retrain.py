# One network, trained on train + search from its slice of the pretrained supernet, tested on val.
_base_ = ["./detector.py", "../_base_/backbones/subnet.py"]
pretrained = "{experiment}/pretrain/final.pth"
