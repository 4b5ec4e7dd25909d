# The wider channels in which a network of the large space is retrained as the paper's "3.8G" one.
# Its architecture is one of the large space: both have 40 blocks.
space = "large-wide"
