# The small supernet pretrained with the path policy of the authors' code: uniform over seven bins
# of 10M, whose edges, 290M to 360M, count the classifier's 33,136,640 too.
_base_ = ["../supernet_small/pretrain.py"]
classifier_macs = 33136640
path_policy = dict(
    type="uniform_bins",
    lower=290e6 - classifier_macs,
    upper=360e6 - classifier_macs,
    bins=7,
)
