# The paper's small space in which a block that keeps the resolution may be skipped: depth is
# searched, too.
space = "small-skip"
macs_budget = 300e6  # small's
