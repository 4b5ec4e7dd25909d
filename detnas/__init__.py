"""DetNAS: one-shot search of detection backbones. Importing it is light; its packages are not."""

from detnas.version import __version__

__all__ = ["__version__"]
