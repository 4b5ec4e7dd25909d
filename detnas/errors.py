"""Errors that the user can mend: one line that names the thing, its value and the mend.

The command line prints these and exits with status 2. Every other exception is a defect of DetNAS
and keeps its traceback.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from typing import Any

from search_space.errors import SpaceError


class UserError(ValueError):
    """Something that the user can mend; the message says what and how."""


class SeveralErrors(UserError):
    """Several of them that were found at once, in `messages`."""

    def __init__(self, messages: Iterable[str]) -> None:
        self.messages = tuple(messages)
        super().__init__("; ".join(self.messages))


class Problems:
    """Collects the errors of checks that do not depend on each other, to raise them together.

    Each check is a block: `with problems: check()`. A message that repeats another is left out.

    Args:
        names: texts in messages, such as file names, that do not tell them apart.
    """

    def __init__(self, *names: str) -> None:
        self._names = names
        self._found: dict[str, UserError] = {}

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> bool:
        if isinstance(error, SeveralErrors):
            for message in error.messages:
                self.add(UserError(message))
        elif isinstance(error, UserError):
            self.add(error)
        return isinstance(error, UserError)

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, error: UserError) -> None:
        """Keep an error, unless it says what another one says."""
        text = str(error)
        for name in self._names:
            text = text.replace(name, "")
        if not any(text in other or other in text for other in self._found):
            self._found[text] = error

    @property
    def messages(self) -> tuple[str, ...]:
        """What was found, one line each."""
        return tuple(map(str, self._found.values()))

    def raise_found(self) -> None:
        """Raise what was found: the error itself, or `SeveralErrors`."""
        if len(self._found) == 1:
            raise next(iter(self._found.values()))
        if self._found:
            raise SeveralErrors(map(str, self._found.values()))


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that the user named does not exist."""


class MissingPackageError(UserError, ModuleNotFoundError):
    """An optional package is not installed; the message says how to install it."""


class UnsupportedError(UserError, NotImplementedError):
    """DetNAS does not support this; the message says what to use instead."""


def printable(text: str) -> str:
    """The text with its control characters written out, so that a terminal does not obey them.

    Messages quote what files hold, and files may come from strangers. Line breaks stay.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode()
        for each in text
    )


def one_line(text: str) -> str:
    """The text as `printable` has it, in one line."""
    return printable(" ".join(text.split()))


@contextmanager
def explained(part: str) -> Iterator[None]:
    """Turn what OpenMMLab raises while it builds a part of a config into a one-line `UserError`."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except SpaceError as error:
        raise UserError(f"{part}: {error}") from error
    except Exception as error:  # parts raise errors of any type
        where = extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {error}".removesuffix(": ")
        if isinstance(error, AssertionError):
            what += f" in `{where.line}`"
        raise UserError(f"{part}: {what} ({Path(where.filename).name}:{where.lineno})") from error


@contextmanager
def user_input(where: str = "") -> Iterator[None]:
    """Turn the `SpaceError`s of `search_space` into `UserError`s within the block.

    Args:
        where: what the value comes from, such as "search.budgets"; it precedes the message.
    """
    try:
        yield
    except SpaceError as error:
        raise UserError(f"{where}: {error}" if where else str(error)) from error
