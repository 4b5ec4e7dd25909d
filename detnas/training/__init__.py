"""Training: the seeded runner, path policies, and what pretraining and fine-tuning need.

Importing it registers samplers, datasets and hooks with mmengine.
"""

from detnas.training import hooks, optimisers, path_hook, seeding

__all__ = ["hooks", "optimisers", "path_hook", "seeding"]
