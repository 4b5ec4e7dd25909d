"""The version of DetNAS, read by setup.py and written into what it exports."""

__version__ = "0.2.0"
