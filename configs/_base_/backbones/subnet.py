# The network of one architecture: the one that the experiment's search found, or any other.
architecture = "{experiment}/search/best_architecture.json"
train_split = "trainsearch"  # of a detector: the search is over
pretrained = None  # a checkpoint whose backbone it begins from
backbone = dict(
    type="DetNASNet",
    architecture="{architecture}",
    space="{space}",
    out_indices="{out_indices}",
    norm_cfg="{norm_cfg}",
    init_cfg=dict(type="Pretrained", checkpoint="{pretrained}"),
)
