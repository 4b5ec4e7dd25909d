# A narrow ResNet-18 with random weights.
_base_ = ["../retinanet/detector.py"]
train_split = "trainsearch"
stage_channels = [8, 16, 32, 64]
backbone = dict(
    type="ResNet", depth=18, base_channels=8, out_indices="{out_indices}", norm_cfg="{norm_cfg}"
)
