"""Splits COCO or VOC annotations into a train and a search part, and reports the class counts."""

from detnas.data.split.make_split import draw, split
from detnas.data.split.report import SplitReport, split_table

__all__ = ["SplitReport", "draw", "split", "split_table"]
