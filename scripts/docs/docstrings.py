"""Reads what the references show: docstrings in Google's style, types, defaults, as Markdown."""

import inspect
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Union

import msgspec
from msgspec import Meta, Struct

_ENTRY = re.compile(r"^(\*{0,2}\w+(?:, \w+)*): (.*)$")
_RESUME = {"change": "may change", "grow": "may grow"}
_NAMES = {str: "text", dict: "dict", type(None): "None"}
_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def summary(kind: Any) -> str:
    """The paragraphs of a docstring before its first section, as one line each."""
    text = inspect.cleandoc(kind.__doc__ or "")
    text = re.split(r"^(?:Args|Attributes|Raises|Returns):$", text, flags=re.MULTILINE)[0]
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n") if part.strip())


def entries(kind: Any) -> dict[str, str]:
    """The text of each argument or attribute of a docstring; a class has its bases', too."""
    found: dict[str, str] = {}
    for each in reversed(inspect.getmro(kind)) if inspect.isclass(kind) else [kind]:
        if each.__module__.split(".")[0] in ("detnas", "search_space"):
            found |= _entries(inspect.cleandoc(each.__doc__ or ""))
    return found


def _entries(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    names: list[str] = []
    inside = False
    for line in text.splitlines():
        if re.match(r"\S", line):
            inside = line in ("Args:", "Attributes:")
        elif inside and (match := _ENTRY.match(line.strip())) and not line.startswith(" " * 5):
            names = [name.strip("* ") for name in match[1].split(",")]
            found |= dict.fromkeys(names, match[2])
        elif inside and line.strip():
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found


def struct_rows(kind: type[Struct]) -> Iterator[tuple[str, ...]]:
    """Key, value, default, meaning and what a resume may do, of each field of a settings type."""
    texts, hints = entries(kind), typing.get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        hint = hints[field.name]
        marks = [mark.extra or {} for mark in _metadata(hint)]
        resume = next((_RESUME.get(m["on_resume"], "") for m in marks if "on_resume" in m), "")
        default = "required" if field.required else value(_default(field))
        yield (
            f"`{field.name}`",
            type_text(hint),
            default,
            escaped(texts.get(field.name, "")),
            resume,
        )


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    factory: Any = field.default_factory
    return factory()


def signature_rows(kind: Any, skipped: Iterable[str] = ()) -> Iterator[tuple[str, ...]]:
    """Name, default and meaning of each argument of a class or function."""
    texts = entries(kind)
    for name, parameter in inspect.signature(kind).parameters.items():
        text = texts.get(name, "")
        if name in skipped or (parameter.kind is parameter.VAR_KEYWORD and not text):
            continue
        required = parameter.default is parameter.empty
        default = "required" if required else value(parameter.default)
        if parameter.kind is parameter.VAR_KEYWORD:
            name, default = f"**{name}", ""
        yield f"`{name}`", default, escaped(text)


def _metadata(hint: Any) -> tuple[Any, ...]:
    return tuple(getattr(hint, "__metadata__", ()))


def type_text(hint: Any) -> str:
    """A type as plain text: "text", "int >= 1", "one of "a", "b", or None"."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if metadata := _metadata(hint):
        return " ".join([type_text(arguments[0]), *_bounds(metadata)])
    if origin is Literal:
        return ", ".join(value(argument) for argument in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(type_text(argument) for argument in arguments)
    if origin in (tuple, list):
        inner = dict.fromkeys(type_text(a) for a in arguments if a is not Ellipsis)
        return f"list of {', '.join(inner)}"
    if origin in (dict, Mapping):
        return f"dict of {type_text(arguments[0])} to {type_text(arguments[1])}"
    if inspect.isclass(hint) and issubclass(hint, Struct):
        return f"`{hint.__name__}`"
    return str(_NAMES.get(hint, getattr(hint, "__name__", hint)))


def _bounds(metadata: Iterable[Any]) -> Iterator[str]:
    for meta in metadata:
        if isinstance(meta, Meta):
            for key, sign in _BOUNDS.items():
                if (bound := getattr(meta, key)) is not None:
                    yield f"{sign.replace('<', '&lt;').replace('>', '&gt;')} {bound:,}"


def value(given: Any) -> str:
    """A default as a config writes it."""
    if isinstance(given, Struct):
        return "its defaults"
    if given in ((), [], {}):
        return "none"
    if inspect.isclass(given):
        return f"`{given.__name__}`"
    return f"`{list(given) if isinstance(given, tuple) else given!r}`"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, also in a table; what is in backquotes stays code."""
    parts = re.split(r"(`[^`]*`)", text)
    for place in range(0, len(parts), 2):
        part = parts[place].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        parts[place] = re.sub(r"([*|\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", part)
    return "".join(parts)


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; columns without a word in any row are left out. Empty without rows."""
    titles, lines = list(titles), [list(row) for row in rows]
    if not lines:
        return ""
    kept = [place for place in range(len(titles)) if any(line[place] for line in lines)]
    shown = [titles, ["---"] * len(titles), *lines]
    return "\n".join("| " + " | ".join(line[place] for place in kept) + " |" for line in shown)
