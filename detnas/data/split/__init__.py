"""Carving of a search split out of COCO or VOC annotations, and the report of how classes fell."""

from detnas.data.split.carve import draw, split
from detnas.data.split.report import SplitReport, split_table

__all__ = ["SplitReport", "draw", "split", "split_table"]
