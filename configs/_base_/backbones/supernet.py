# The supernet of a space, and the hook that chooses the path of every iteration.
train_split = "train"  # of a detector: what is searched on is not trained on
pretrained = None  # a checkpoint whose backbone it begins from
channel_shuffle = "even_odd"
backbone = dict(
    type="DetNASSupernet",
    space="{space}",
    channel_shuffle="{channel_shuffle}",
    out_indices="{out_indices}",
    norm_cfg="{norm_cfg}",
    init_cfg=dict(type="Pretrained", checkpoint="{pretrained}"),
)
path_policy = dict(type="uniform")  # see detnas/training/paths.py
path_warmup_iters = 0
custom_hooks = [
    dict(type="PathSamplingHook", policy="{path_policy}", warmup_iters="{path_warmup_iters}")
]
