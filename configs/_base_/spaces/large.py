# The paper's large space, "1.3G": 40 blocks.
space = "large"
stage_channels = [96, 240, 480, 960]
last_channels = 1024  # of the convolution before the classifier
macs_budget = 1.3e9  # the paper's, at 224x224
