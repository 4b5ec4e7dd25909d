# The demo's space: 10 blocks.
space = "tiny"
stage_channels = [32, 64, 128, 256]
last_channels = 256  # of the convolution before the classifier
macs_budget = 40e6
