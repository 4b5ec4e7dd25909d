# What data sets of every format share: how images and boxes are prepared, and in what batches.
image_scale = (1333, 800)
flip = dict(type="RandomFlip", prob=0.5)
annotations = dict(type="LoadAnnotations", with_bbox=True)  # with_mask=True for Mask R-CNN
batch_size = 8  # of each process
num_workers = 1  # that load, of each process
train_pipeline = [
    dict(type="LoadImageFromFile"),
    "{annotations}",
    dict(type="Resize", scale="{image_scale}", keep_ratio=True),
    "{flip}",
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale="{image_scale}", keep_ratio=True),
    "{annotations}",
    dict(type="PackDetInputs"),
]
test_cfg = dict(type="TestLoop")
