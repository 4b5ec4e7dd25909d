"""Checks of a config before any work: data, splits, classes, checkpoints.

Each check raises a UserError whose one line has the key or file, its value and the remedy.
"""

from detnas.stages.checks.backbone import (
    awaits_architecture,
    backbone_kind,
    build_backbone,
    check_backbone,
    check_pretrained,
    check_weights,
)
from detnas.stages.checks.builds import check_parts, check_values
from detnas.stages.checks.splits import check_splits

__all__ = [
    "awaits_architecture",
    "backbone_kind",
    "build_backbone",
    "check_backbone",
    "check_parts",
    "check_pretrained",
    "check_splits",
    "check_values",
    "check_weights",
]
