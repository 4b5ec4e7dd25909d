"""Training: the seeded runner, path policies, hooks and optimiser wrappers.

Importing this package registers samplers, datasets, hooks and the archive backend with mmengine.
"""

from detnas.training import (  # noqa: F401
    archive_backend,
    batch_norm_only,
    hooks,
    optimisers,
    paths,
    seeding,
    small_images,
)
