# Fifty classes of Tiny ImageNet, 64x64, in ImageFolder layout (see docs/data.md).
_base_ = ["./image_folder.py"]
pretrain_root = "data/tiny_imagenet_subset"
num_classes = 50
train_pipeline = [
    dict(type="mmpretrain.LoadImageFromFile"),
    dict(type="mmpretrain.RandomResizedCrop", scale=64, crop_ratio_range=(0.35, 1.0)),
    dict(type="mmpretrain.RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="mmpretrain.ColorJitter", brightness=0.4, contrast=0.4, saturation=0.4),
    dict(type="mmpretrain.PackInputs"),
]
