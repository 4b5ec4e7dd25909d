# Ten blocks, for tests and demonstrations.
space = "tiny"
macs_budget = 40e6
