# The wider channels in which a network of the large space is retrained as the paper's "3.8G" one.
# Its architecture is one of the large space: both have 40 blocks.
space = "large-wide"
stage_channels = [172, 432, 864, 1728]
last_channels = 1728  # of the convolution before the classifier
