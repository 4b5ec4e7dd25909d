"""Training: the seeded runner, path policies, and what pretraining and fine-tuning need.

Importing it registers samplers, datasets and hooks with mmengine.
"""

from detnas.training import hooks, paths, seeding

__all__ = ["hooks", "paths", "seeding"]
