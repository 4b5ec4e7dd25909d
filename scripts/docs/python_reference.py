"""The reference of Python as a page: what `detnas` exports, with every argument and method."""

import inspect
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any

from docstrings import escaped, signature_rows, struct_rows, summary, table
from msgspec import Struct

import detnas
from detnas.search.history.records import Evaluation
from detnas.search.searching import search

HEAD = """\
# Reference: Python

<!-- Written by scripts/docs/write_reference.py from the docstrings. Do not edit. -->

What `import detnas` gives. [python.md](python.md) has examples. In Python, `help(detnas.search)`
shows the same.
"""

REST = ("default", "meaning")
FIELDS = ("field", "value", "default", "meaning", "on resume")
MEMBERS = ("member", "meaning")


def page() -> str:
    """The page as Markdown."""
    return "\n".join(_parts())


def _parts() -> Iterator[str]:
    yield HEAD
    for name in ("search", *(each for each in detnas.__all__ if each != "search")):
        if name == "__version__":
            continue
        given = search if name == "search" else getattr(detnas, name)
        yield f"## detnas.{name}\n\n{escaped(summary(given))}\n"
        if inspect.isclass(given) and issubclass(given, Struct):
            yield table(FIELDS, struct_rows(given)) + "\n"
        elif rows := table(("field" if is_dataclass(given) else "argument", *REST), _rows(given)):
            yield rows + "\n"
        if inspect.isclass(given) and (members := table(MEMBERS, _members(given))):
            yield members + "\n"
    yield f"## Rows of a history\n\n{escaped(summary(Evaluation))}\n"
    yield table(("field", *REST), signature_rows(Evaluation)) + "\n"


def _rows(given: Any) -> Iterator[tuple[str, ...]]:
    """The arguments or fields that a docstring explains; none of an exception."""
    if not (inspect.isclass(given) and issubclass(given, Exception)):
        yield from (row for row in signature_rows(given) if row[2])


def _members(kind: type) -> Iterator[tuple[str, str]]:
    """The public methods and properties that a class of DetNAS defines itself."""
    for name, member in vars(kind).items():
        plain = getattr(member, "__func__", member)  # of a class method
        is_property = isinstance(plain, property) or hasattr(plain, "attrname")
        if name.startswith("_") or not (is_property or inspect.isfunction(plain)):
            continue
        called = name if is_property else f"{name}{_names(plain)}"
        yield f"`{called}`", escaped(summary(plain).partition("\n\n")[0])


def _names(function: Any) -> str:
    """The arguments of a method, without types."""
    call = inspect.signature(function)
    names = [
        each.replace(annotation=each.empty)
        for name, each in call.parameters.items()
        if name not in ("self", "cls")
    ]
    return str(call.replace(parameters=names, return_annotation=call.empty))
