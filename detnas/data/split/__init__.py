"""Splits COCO or VOC annotations into a train and a search part, and reports the class counts."""

from detnas.data.split.make_split import draw, draw_by_class, rarest_classes, split
from detnas.data.split.report import SplitReport, split_table

__all__ = ["SplitReport", "draw", "draw_by_class", "rarest_classes", "split", "split_table"]
