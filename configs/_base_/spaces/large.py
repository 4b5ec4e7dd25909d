# The paper's large space, "1.3G": 40 blocks.
space = "large"
macs_budget = 1.3e9  # the paper's, at 224x224
