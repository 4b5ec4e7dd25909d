"""Exports a subnet's weights from a supernet, and imports checkpoints of the DetNAS authors."""
