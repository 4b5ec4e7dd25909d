"""The search: strategies that propose (ask/tell), the history, executors, the loop that joins them.

Imports neither torch nor OpenMMLab; whoever starts a search supplies the evaluator as a callable.
The package itself can be called: `detnas.search(...)` is `detnas.search.searching.search`.
"""

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    """Lets `detnas.search` be the function of that name as well as this package."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from detnas.search.searching import search  # most modules of the package do not need it

        return search(*arguments, **options)

    @property
    def __signature__(self) -> Any:
        from inspect import signature

        from detnas.search.searching import search

        return signature(search)


sys.modules[__name__].__class__ = _CallablePackage
