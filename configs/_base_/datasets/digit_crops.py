# The demo's crops of handwritten digits, written by `detnas demo`.
_base_ = ["./image_folder.py"]
pretrain_root = "{experiment}/data/classification"
num_classes = 10
train_pipeline = [
    dict(type="mmpretrain.LoadImageFromFile"),
    dict(type="mmpretrain.RandomCrop", crop_size=48, padding=6),
    dict(type="mmpretrain.PackInputs"),
]
