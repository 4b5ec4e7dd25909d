"""Training: the seeded runner, path policies, and what pretraining and fine-tuning need.

Importing it registers samplers, datasets, hooks and the reading of archives with mmengine.
"""

from detnas.training import archive_backend, hooks, optimisers, path_hook, seeding

__all__ = ["archive_backend", "hooks", "optimisers", "path_hook", "seeding"]
