# Path-wise fine-tuning on COCO under BiFPN and EfficientDet's head for 30 epochs, a tenth of the
# schedule of a single network. Nobody has run it: the length is a guess.
_base_ = ["./detector.py", "../_base_/backbones/supernet.py"]
pretrained = "{experiment}/pretrain/final.pth"
max_iters = 27720
