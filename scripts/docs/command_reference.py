"""The reference of the command line, from the parsers of the commands."""

import argparse
from collections.abc import Iterator
from importlib import import_module

from docstrings import escaped, table

from detnas.cli import COMMANDS

HEAD = """\
# Reference: commands

<!-- Written by scripts/docs/write_reference.py from the parsers of the commands. Do not edit. -->

Every command with all its arguments. [commands.md](commands.md) explains them, with the exit
statuses and the launchers. Every command also has `--help`, and `--traceback`, which shows where an
error was raised; `detnas --version` prints the version.
"""


def page() -> str:
    """The page as Markdown."""
    parts = [HEAD]
    for name, purpose in COMMANDS.items():
        parts.append(f"## detnas {name}\n\n{purpose[0].upper()}{escaped(purpose[1:])}.\n")
        titles = ("argument", "value", "default", "meaning")
        parts.append(table(titles, _rows(parser_of(name))) + "\n")
    return "\n".join(parts)


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of a command's own arguments."""
    parser = argparse.ArgumentParser(prog=f"detnas {command}", add_help=False)
    import_module(f"detnas.commands.{command.replace('-', '_')}").add_arguments(parser)
    return parser


def _rows(parser: argparse.ArgumentParser) -> Iterator[tuple[str, ...]]:
    formatter = argparse.HelpFormatter(parser.prog)
    for action in parser._actions:
        if action.help is argparse.SUPPRESS:
            continue
        help = escaped(formatter._expand_help(action)) if action.help else ""
        names = action.option_strings or [str(action.metavar or action.dest).upper()]
        yield (
            ", ".join(f"`{name}`" for name in names),
            "" if action.nargs == 0 or not action.option_strings else _value(action),
            _default(action),
            help,
        )


def _value(action: argparse.Action) -> str:
    if action.choices is not None:
        return ", ".join(f"`{choice}`" for choice in action.choices)
    shown = action.metavar or action.dest.upper()
    text = " ".join(shown) if isinstance(shown, tuple) else shown
    if isinstance(action.nargs, int) and not isinstance(shown, tuple):
        text = " ".join([text] * action.nargs)
    return f"`{text}{' ...' if action.nargs in ('+', '*') else ''}`"


def _default(action: argparse.Action) -> str:
    if action.required:
        return "required"
    if action.default in (None, False, (), []) or action.default is argparse.SUPPRESS:
        return ""
    given = action.default
    text = " ".join(map(str, given)) if isinstance(given, list | tuple) else str(given)
    return f"`{text}`"
