"""The lines of a config that put the backbone under any detector of mmdet's."""

from detnas.init.detectors.lines import NAMES, DetectorFile, detector_lines

__all__ = ["NAMES", "DetectorFile", "detector_lines"]
