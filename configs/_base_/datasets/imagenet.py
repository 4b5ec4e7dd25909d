# ImageNet-1k, one folder a class under data/imagenet/train and data/imagenet/val, or inside a zip
# or tar: see docs/data.md. Augmentation as the authors' code has it.
_base_ = ["./image_folder.py"]
pretrain_root = "data/imagenet"
num_classes = 1000
pretrain_batch_size = 128
num_workers = 8
train_pipeline = [
    dict(type="mmpretrain.LoadImageFromFile"),
    dict(type="mmpretrain.RandomResizedCrop", scale=224),
    dict(type="mmpretrain.ColorJitter", brightness=0.4, contrast=0.4, saturation=0.4),
    dict(type="mmpretrain.RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="mmpretrain.PackInputs"),
]
test_pipeline = [
    dict(type="mmpretrain.LoadImageFromFile"),
    dict(type="mmpretrain.ResizeEdge", scale=256, edge="short"),
    dict(type="mmpretrain.CenterCrop", crop_size=224),
    dict(type="mmpretrain.PackInputs"),
]
