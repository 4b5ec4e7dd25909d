# The demo's space: ten blocks, some of which may be skipped, so that the depth is searched, too.
space = "tiny-skip"
macs_budget = 40e6
