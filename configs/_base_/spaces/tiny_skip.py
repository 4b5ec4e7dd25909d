# The tiny space in which a block that keeps the resolution may be absent: depth is searched, too.
space = "tiny-skip"
macs_budget = 40e6
