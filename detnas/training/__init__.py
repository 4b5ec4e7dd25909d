"""Training: the seeded runner, path policies, hooks and optimiser wrappers.

Importing this package registers samplers, datasets, hooks and the archive backend with mmengine.
"""

from detnas.training import archive_backend, hooks, optimisers, paths, seeding  # noqa: F401
