# The network of one architecture: the one that the experiment's search found, or any other.
architecture = "{experiment}/search/best_architecture.json"
train_split = "trainsearch"  # of a detector: the search is over
channel_shuffle = None  # the architecture's own
pretrained = None  # a checkpoint whose backbone it begins from
backbone = dict(
    type="DetNASNet",
    architecture="{architecture}",
    space="{space}",
    channel_shuffle="{channel_shuffle}",
    out_indices="{out_indices}",
    norm_cfg="{norm_cfg}",
    init_cfg=dict(type="Pretrained", checkpoint="{pretrained}"),
)
