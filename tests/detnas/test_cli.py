"""The command line: a module for every command, and defects never shown as the user's mistakes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detnas import cli
from detnas.cli import COMMANDS, main
from detnas.commands import INTERRUPTED, cost
from detnas.errors import MissingPackageError, UserError

COST = ["cost", "detnasnet-300m-coco-fpn"]
DEFECTS: dict[str, Callable[..., Any]] = {
    "zip": lambda *_: list(zip([1], [1, 2], strict=True)),
    "int": lambda *_: int("x"),
    "max": lambda *_: max([]),
}


def raising(error: BaseException) -> Callable[..., Any]:
    def function(*_: Any) -> Any:
        raise error

    return function


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: detnas {name} ")
    assert "--traceback" in printed


def test_the_commands_are_the_modules() -> None:
    folder = Path(cli.__file__).parent / "commands"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "options"}
    assert modules == {name.replace("-", "_") for name in COMMANDS}


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n    {name}" in printed


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_raised(defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "architecture_costs", DEFECTS[defect])
    with pytest.raises(ValueError) as raised:
        main(COST)
    assert not isinstance(raised.value, UserError)


@pytest.mark.parametrize(
    "error", [ValueError("x"), RuntimeError("x"), TypeError("x"), KeyError("x"), OSError("x")]
)
def test_other_errors_are_raised_too(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "architecture_costs", raising(error))
    with pytest.raises(type(error)) as raised:
        main(COST)
    assert raised.value is error


@pytest.mark.parametrize(
    ("module", "function"),
    [
        ("detnas.commands.cost", "architecture_costs"),
        ("search_space.architecture", "computed_tables"),
    ],
)
def test_a_defect_ends_a_process_with_its_traceback(module: str, function: str) -> None:
    code = (
        f"import sys, {module} as module\n"
        "from detnas.cli import main\n"
        f"module.{function} = lambda *_: list(zip([1], [1, 2], strict=True))\n"
        f"sys.exit(main({COST!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" in done.stderr
    assert "ValueError: zip() argument 2 is longer than argument 1" in done.stderr


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("search.budgets: of two\nlines"), "search.budgets: of two lines"),
        (MissingPackageError("install it"), "install it"),
        (UserError("class \x1b[2Jcat\x07 \u202e"), "class \\x1b[2Jcat\\x07 \\u202e"),
        (FileNotFoundError(2, "No such file", "a.json"), "[Errno 2] No such file: 'a.json'"),
        (PermissionError(13, "Denied", "a.json"), "[Errno 13] Denied: 'a.json'"),
    ],
)
def test_what_the_user_can_mend_is_one_line(
    error: Exception,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cost, "architecture_costs", raising(error))
    assert main(COST) == 2
    printed = capsys.readouterr()
    assert printed.err == f"detnas cost: error: {line}\n"
    assert printed.out == ""
    with pytest.raises(type(error)):
        main([*COST, "--traceback"])


def test_values_of_the_user_are_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["cost", "small:1,2"],
        ["space", "smal"],
        ["measure-latency", "x", "-o", "y"],
    ):
        assert main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"detnas {arguments[0]}: error: ")


def test_interrupts_and_closed_pipes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cost, "architecture_costs", raising(KeyboardInterrupt()))
    assert main(COST) == INTERRUPTED
    assert "detnas: stopped" in capsys.readouterr().err
    monkeypatch.setattr(cost, "architecture_costs", raising(BrokenPipeError()))
    assert main(COST) == 0
