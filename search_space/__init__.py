"""What can be searched: choices, spaces, architectures, their costs, and draws inside a budget.

Nothing here depends on training or detection, and only `blocks` and `operations` import torch.
"""
