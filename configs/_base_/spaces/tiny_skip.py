# The demo's space in which a block that keeps the resolution may be skipped: depth is searched,
# too.
space = "tiny-skip"
macs_budget = 40e6
