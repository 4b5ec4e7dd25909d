"""The stage `compare`: other networks, trained by the found one's recipe and scored beside it."""

from detnas.stages.compare.stage import CompareStage

__all__ = ["CompareStage"]
