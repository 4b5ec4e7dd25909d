# A few iterations of path-wise fine-tuning on the COCO subset.
_base_ = ["./detector.py", "../_base_/backbones/supernet.py"]
pretrained = "{experiment}/pretrain/final.pth"
