"""Finds keys of config files that nobody reads and that look like a misspelt one.

Any name at the top of a config is a key, and helper variables are allowed there, so an unknown key
is no fault by itself. It is one where a file sets a key that none of its bases has, that nothing
refers to, and that differs by a letter or two from a key that they have.
"""

import ast
import difflib
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

CONFIGS = (Path(__file__).parent / ".mim" / "configs").resolve()
"""The configs of the installed package, where OpenMMLab's packages have theirs."""
OWN_CONFIGS = "detnas::"
"""How the name of one of them begins, among the bases of a config."""

SIMILARITY = 0.8
"""From which two keys are taken for one (1 is equality)."""


@dataclass(frozen=True)
class _File:
    """A config file: the names that it sets and uses, and its bases that are files."""

    path: Path
    sets: frozenset[str]
    uses: frozenset[str]
    bases: tuple[Path, ...]


def own_config(name: str) -> Path:
    """The file of a base config such as "detnas::_base_/runtime.py"."""
    return CONFIGS / name.removeprefix(OWN_CONFIGS)


def misspelt_keys(path: Path, config: Mapping[str, Any], known: Set[str]) -> Iterator[str]:
    """A remark for each key of a file, or of its bases, that is misspelt.

    Args:
        path: of a config that can be read.
        config: its values, references not yet resolved.
        known: keys that are read whether or not something refers to them.
    """
    files = list(_chain(path))
    used = frozenset[str]().union(*(file.uses for file in files))
    text = repr(dict(config))
    for file in files:
        of_bases = frozenset[str]().union(
            *(other.sets for base in file.bases for other in _chain(base))
        )
        for key in sorted(file.sets - of_bases - used - known):
            if key.startswith("_") or f"{{{key}}}" in text or f"{{{key}[" in text:
                continue
            if match := difflib.get_close_matches(key, of_bases | known, 1, SIMILARITY):
                yield f"{file.path} sets '{key}', which nothing reads; did you mean '{match[0]}'?"


def _chain(path: Path) -> Iterator[_File]:
    file = _read(path.resolve())
    yield file
    for base in file.bases:
        yield from _chain(base)


@lru_cache(maxsize=256)
def _read(path: Path) -> _File:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError):  # who executes it says what is wrong
        return _File(path, frozenset(), frozenset(), ())
    sets, bases = set(), []
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if not isinstance(target, ast.Name):
                continue
            sets.add(target.id)
            if target.id == "_base_":
                bases = _texts(node.value)
    uses = set()
    for part in ast.walk(tree):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
            uses.add(part.id)
        elif isinstance(part, ast.Attribute):  # of `_base_`
            uses.add(part.attr)
    files = [
        own_config(base) if base.startswith(OWN_CONFIGS) else path.parent / base
        for base in bases
        if base.startswith(OWN_CONFIGS) or "::" not in base
    ]
    return _File(path, frozenset(sets), frozenset(uses), tuple(f for f in files if f.is_file()))


def _texts(node: ast.expr) -> list[str]:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return []
    return [value] if isinstance(value, str) else [str(each) for each in value]
