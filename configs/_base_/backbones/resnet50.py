# ResNet-50 with torchvision's ImageNet weights, batch norm live as in the paper's comparison.
train_split = "trainsearch"
stage_channels = [256, 512, 1024, 2048]
backbone = dict(
    type="ResNet",
    depth=50,
    out_indices="{out_indices}",
    norm_cfg="{norm_cfg}",
    norm_eval=False,
    init_cfg=dict(type="Pretrained", checkpoint="torchvision://resnet50"),
)
