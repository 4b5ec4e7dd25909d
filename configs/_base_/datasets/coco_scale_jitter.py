# COCO as EfficientDet trains on it: images at 0.1 to 2.0 times the input's size, cropped and padded
# to a square of `image_side`, which compound scaling sets.
_base_ = ["./coco.py"]
image_scale = ("{image_side}", "{image_side}")
# The mean colour, in the order of a loaded image, blue first (`mean` has red first, or is 0).
mean_colour = ("{mean[2]}", "{mean[1]}", "{mean[0]}")
padding = dict(type="Pad", size="{image_scale}", pad_val=dict(img="{mean_colour}"))
train_pipeline = [
    dict(type="LoadImageFromFile"),
    "{annotations}",
    dict(type="RandomResize", scale="{image_scale}", ratio_range=(0.1, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size="{image_scale}"),
    "{flip}",
    "{padding}",
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale="{image_scale}", keep_ratio=True),
    "{padding}",
    "{annotations}",
    dict(type="PackDetInputs"),
]
batch_size = 4
train_dataloader = dict(batch_sampler=None)
