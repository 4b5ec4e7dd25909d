"""What can be searched: choices, spaces, architectures, their costs, and draws inside a budget.

Nothing here depends on training or detection. `search_space.blocks`, the choices as torch modules,
must be imported by its own name, so that importing this package does not import torch.
"""

from search_space.architecture import CHANNEL_SHUFFLES, Architecture, parse_architecture
from search_space.choices import CHOICES, BlockSpec
from search_space.cost import CostTable, cost_table, macs, macs_table, params, params_table
from search_space.published import PUBLISHED
from search_space.spaces import SPACES, SearchSpace, Stage, get_space, parse_space

__all__ = [
    "CHANNEL_SHUFFLES",
    "CHOICES",
    "PUBLISHED",
    "SPACES",
    "Architecture",
    "BlockSpec",
    "CostTable",
    "SearchSpace",
    "Stage",
    "cost_table",
    "get_space",
    "macs",
    "macs_table",
    "params",
    "params_table",
    "parse_architecture",
    "parse_space",
]
