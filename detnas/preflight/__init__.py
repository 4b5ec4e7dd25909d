"""What is checked of a config before any work: data, splits, classes, checkpoints.

Each check raises FileNotFoundError or ValueError with one line that names the thing and the mend.
"""

from detnas.preflight.splits import check_splits
from detnas.preflight.weights import (
    backbone_kind,
    build_backbone,
    check_backbone,
    check_pretrained,
    check_weights,
)

__all__ = [
    "backbone_kind",
    "build_backbone",
    "check_backbone",
    "check_pretrained",
    "check_splits",
    "check_weights",
]
