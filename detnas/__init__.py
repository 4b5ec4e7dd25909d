"""DetNAS: one-shot search of detection backbones.

Importing it is light: what `__all__` lists is imported when it is first used, and none of it needs
OpenMMLab. See docs/python.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from detnas.version import __version__

if TYPE_CHECKING:
    from detnas.errors import UserError
    from detnas.networks.pyramid import BackboneWithFPN
    from detnas.networks.subnet import SubnetBackbone, create_backbone
    from detnas.search.history.reading import SearchHistory
    from detnas.search.searching import search
    from search_space.architecture import Architecture
    from search_space.budget import Budget
    from search_space.errors import SpaceError

__all__ = [
    "Architecture",
    "BackboneWithFPN",
    "Budget",
    "SearchHistory",
    "SpaceError",
    "SubnetBackbone",
    "UserError",
    "__version__",
    "create_backbone",
    "search",
]

_MODULES = {
    "Architecture": "search_space.architecture",
    "BackboneWithFPN": "detnas.networks.pyramid",
    "Budget": "search_space.budget",
    "SearchHistory": "detnas.search.history.reading",
    "SpaceError": "search_space.errors",
    "SubnetBackbone": "detnas.networks.subnet",
    "UserError": "detnas.errors",
    "create_backbone": "detnas.networks.subnet",
}


def __getattr__(name: str) -> Any:
    if name == "search":  # the package can be called
        return import_module("detnas.search")
    if name not in _MODULES:
        raise AttributeError(f"module 'detnas' has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
