# The network as an EfficientDet of `compound`, on train + search of COCO, with the EfficientDet
# authors' training.
_base_ = [
    "./detector.py",
    "../_base_/backbones/scaled_subnet.py",
    "../_base_/schedules/ema.py",
]
pretrained = "{experiment}/pretrain_subnet/final.pth"
