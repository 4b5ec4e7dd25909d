"""Checks that what a config's `visualizer` writes to is installed, before any work."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from mmengine.config import Config
from mmengine.registry import VISBACKENDS, VISUALIZERS

from detnas.errors import MissingPackageError, UserError

_PACKAGES = {
    "AimVisBackend": "aim",
    "ClearMLVisBackend": "clearml",
    "DVCLiveVisBackend": "dvclive",
    "MLflowVisBackend": "mlflow",
    "NeptuneVisBackend": "neptune",
    "TensorboardVisBackend": "tensorboard",
    "WandbVisBackend": "wandb",
}
"""What mmengine's backends import, each also the name of its package."""


def check_visualizer(config: Config) -> None:
    """Check the types in `visualizer`, and that the libraries of its backends are installed.

    Raises:
        MissingPackageError: a library is missing.
        UserError: the visualizer or a backend is of a type that nothing has registered.
    """
    section = config.get("visualizer")
    if section is None:
        return
    scope = config.get("default_scope", "mmdet")
    with VISUALIZERS.switch_scope_and_registry(scope) as registry:
        _check_type("visualizer", section, registry)
    backends = section.get("vis_backends") or []
    for each in [backends] if isinstance(backends, Mapping) else backends:
        if not isinstance(each, Mapping):
            raise UserError(
                f"visualizer.vis_backends has {each!r}; write dict(type='TensorboardVisBackend')"
            )
        with VISBACKENDS.switch_scope_and_registry(scope) as registry:
            name = _check_type("visualizer.vis_backends", each, registry)
        package = _PACKAGES.get(name)
        if package is not None and find_spec(package) is None:
            raise MissingPackageError(
                f"visualizer.vis_backends: {name} needs the package {package}, which is not "
                f"installed: pip install {package}, or leave the backend out"
            )


def _check_type(where: str, section: Mapping[str, Any], registry: Any) -> str:
    """The name of a section's type, without its scope."""
    kind = section.get("type")
    if isinstance(kind, type):
        return kind.__name__
    if not isinstance(kind, str) or registry.get(kind) is None:
        raise UserError(
            f"{where}: type is {kind!r}, which is not registered: correct it, or name its module "
            "in custom_imports"
        )
    return kind.rpartition(".")[2]
