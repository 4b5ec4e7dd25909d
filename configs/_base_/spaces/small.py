# The paper's small space, "300M": 20 blocks.
space = "small"
stage_channels = [64, 160, 320, 640]
last_channels = 1024  # of the convolution before the classifier
macs_budget = 300e6  # the paper's, at 224x224
