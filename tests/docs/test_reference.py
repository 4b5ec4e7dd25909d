"""The generated reference pages: they are those of the code, and nothing is missing in them."""

import inspect
import re
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from msgspec import Struct

import detnas
from detnas import cli
from detnas.config import _OWN_KEYS
from detnas.search import searching
from detnas.search.strategies import STRATEGIES
from detnas.stages.settings import SearchSettings

ROOT = Path(__file__).parents[2]
COMMANDS = (ROOT / "docs" / "reference_commands.md").read_text(encoding="utf-8")
PYTHON = (ROOT / "docs" / "reference_python.md").read_text(encoding="utf-8")
CONFIGS = (ROOT / "docs" / "reference_configs.md").read_text(encoding="utf-8")


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that writes the pages."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "docs"))
    import write_reference

    return write_reference


def test_pages_are_those_of_the_code(
    scripts: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["write_reference.py", "--check"])
    assert scripts.main() == 0, capsys.readouterr().out


def test_a_page_that_differs_is_named_and_written(
    scripts: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(scripts, "DOCS", tmp_path)
    (tmp_path / "reference_configs.md").write_text(CONFIGS, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["write_reference.py", "--check"])
    assert scripts.main() == 1
    assert capsys.readouterr().out.startswith("docs/reference_commands.md differs: run ")
    assert not (tmp_path / "reference_commands.md").exists()
    monkeypatch.setattr(sys, "argv", ["write_reference.py"])
    assert scripts.main() == 0
    assert (tmp_path / "reference_commands.md").read_text(encoding="utf-8") == COMMANDS


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_option_of_a_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.parse([command, "--help"])
    options = set(re.findall(r"^  (?:-\w.*, )?(--[\w-]+)", capsys.readouterr().out, re.M))
    section = COMMANDS.split(f"\n## detnas {command}\n")[1].split("\n## ")[0]
    shown = set(re.findall(r"`(--?[\w-]+)`", section)) | {"--help", "--traceback"}
    assert options
    assert options <= shown


def test_every_key_of_a_config() -> None:
    for key in (*_OWN_KEYS, "search", "space"):
        assert f"\n| `{key}` |" in CONFIGS
    for kind in (SearchSettings, *STRATEGIES.values()):
        for name in _keys(kind):
            assert f"\n| `{name}` |" in CONFIGS, name
    for name in STRATEGIES:
        assert f"\n### strategy {name}\n" in CONFIGS


def _keys(kind: Any) -> Iterator[str]:
    """The fields of a settings type and of those inside it."""
    hints = typing.get_type_hints(kind)
    for field in msgspec.structs.fields(kind):
        yield field.name
        for inner in (hints[field.name], *typing.get_args(hints[field.name])):
            if isinstance(inner, type) and issubclass(inner, Struct):
                yield from _keys(inner)


def test_every_name_and_argument_of_python() -> None:
    for name in {*detnas.__all__} - {"__version__"}:
        assert f"\n## detnas.{name}\n" in PYTHON
    for function in (searching.search, detnas.create_backbone):
        section = PYTHON.split(f"\n## detnas.{function.__name__}\n")[1].split("\n## ")[0]
        shown = re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", section, re.M)
        assert shown == list(inspect.signature(function).parameters)


def test_all_settings_of_the_search_are_explained() -> None:
    for section in ("search", "search.evaluator", "search.executor", "search.budgets"):
        text = CONFIGS.split(f"\n## {section}\n")[1].split("\n## ")[0]
        rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
        assert rows
        assert all(row[3].strip() for row in rows), section
