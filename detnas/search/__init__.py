"""The search: strategies that propose (ask/tell), the history, executors, the loop that joins them.

Imports neither torch nor OpenMMLab; whoever starts a search supplies the evaluator as a callable.
The package itself can be called: `detnas.search(...)` is `detnas.search.searching.search`, and
`help(detnas.search)` shows that function.
"""

import sys
from types import ModuleType
from typing import Any


def _function() -> Any:
    from detnas.search.searching import search  # most modules of the package do not need it

    return search


class _CallablePackage(ModuleType):
    """Lets `detnas.search` be the function of that name as well as this package."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return _function()(*arguments, **options)

    @property
    def __signature__(self) -> Any:
        from inspect import signature

        return signature(_function())

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        """The function's docstring, with its arguments and their defaults below the first line."""
        from inspect import getdoc, signature
        from textwrap import fill

        call = signature(_function())
        names = [each.replace(annotation=each.empty) for each in call.parameters.values()]
        short = str(call.replace(parameters=names, return_annotation=call.empty))
        shown = fill(f"detnas.search{short}", 88, subsequent_indent=" " * 14)
        summary, _, rest = (getdoc(_function()) or "").partition("\n\n")
        return f"{summary}\n\n{shown}\n\n{rest}"


sys.modules[__name__].__class__ = _CallablePackage
