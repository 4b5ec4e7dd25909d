# mmdet's EfficientNet, as `compound` asks for it, initialised as its authors do. Set where mmdet's
# defaults differ from their models: momentum of batch norm (`norm_cfg`), stochastic depth; and
# torch's SiLU in the place of mmcv's Swish, the same function in less memory.
train_split = "trainsearch"  # nothing is searched: train on all training images
drop_path_rate = 0.2  # of the last block: stochastic depth
pretrained = None  # a checkpoint of mmpretrain's EfficientNet
stage_channels = "{efficientnet_channels}"
backbone = dict(
    type="VarianceScaledEfficientNet",
    arch="{efficientnet}",
    out_indices=(3, 4, 5),
    drop_path_rate="{drop_path_rate}",
    norm_cfg="{norm_cfg}",
    act_cfg=dict(type="SiLU"),
    init_cfg=dict(type="Pretrained", prefix="backbone.", checkpoint="{pretrained}"),
)
