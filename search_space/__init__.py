"""What can be searched: spaces, architectures, their costs, and draws inside a budget.

Nothing here knows of training or detection. `search_space.blocks`, the blocks as torch modules, is
imported by name only, so that this package stays light.
"""

from search_space.architecture import (
    CHANNEL_SHUFFLES,
    Architecture,
    load_document,
    parse_architecture,
)
from search_space.cost import CostTable, cost_table, macs, macs_table, params, params_table
from search_space.published import PUBLISHED
from search_space.spaces import CHOICES, SPACES, BlockSpec, SearchSpace, Stage, get_space

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
    "load_document",
    "macs",
    "macs_table",
    "params",
    "params_table",
    "parse_architecture",
]
