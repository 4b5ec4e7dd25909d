# The demo's space: 10 blocks.
space = "tiny"
macs_budget = 40e6
