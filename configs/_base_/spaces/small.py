# The paper's small space, "300M": 20 blocks.
space = "small"
macs_budget = 300e6  # the paper's, at 224x224
