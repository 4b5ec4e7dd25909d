"""Scores candidates by a user's Python function, in this process or in workers."""

import math
import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detnas.errors import UserError
from detnas.search.executors.base import describe
from detnas.search.executors.worker import NAME as WORKER_NAME
from detnas.search.executors.worker import UNGUARDED, UNGUARDED_REASON
from search_space.architecture import Architecture, Choices
from search_space.spaces import SearchSpace

EvaluateFunction = Callable[[Architecture], float | Mapping[str, float]]
"""A user's function: from an architecture to its score, or to several numbers by name."""


@dataclass(frozen=True)
class FunctionScorer:
    """A user's function as an executor calls it; see `executors.base.Evaluate`.

    Attributes:
        function: the user's.
        space: of the search.
        channel_shuffle: of the architectures that the function gets.
        score: the name of the score, for a function that returns one number.
    """

    function: EvaluateFunction
    space: SearchSpace
    channel_shuffle: str
    score: str

    def __call__(self, choices: Choices) -> dict[str, float]:
        """The metrics of one candidate.

        Raises:
            TypeError: the function returned something else.
            RuntimeError: it called sys.exit, which would end the search.
        """
        try:
            returned = self.function(Architecture(self.space, choices, self.channel_shuffle))
        except SystemExit as exited:
            raise RuntimeError(f"evaluate called sys.exit({exited.code!r})") from exited
        if not isinstance(returned, Mapping):
            return {self.score: _score(returned)}
        named = {_name(name): value for name, value in returned.items()}
        return {
            name: _score(value, name) if name == self.score else _number(value, name)
            for name, value in named.items()
        }


@dataclass(frozen=True)
class MakeFunctionScorer:
    """Builds the scorer in a worker process; see `executors.base.MakeEvaluate`."""

    pickled: bytes

    @classmethod
    def of(cls, scorer: FunctionScorer) -> "MakeFunctionScorer":
        """What is sent to the workers.

        Raises:
            UserError: the function cannot be sent, as one inside another function cannot, or the
                script has no file.
        """
        _refuse_script_without_file()
        try:
            return cls(pickle.dumps(scorer))
        except Exception as error:  # pickle raises errors of several types
            raise UserError(
                f"evaluate cannot be sent to worker processes ({describe(error)}): define it at "
                "the top level of a module, or set workers=1"
            ) from error

    def __call__(self) -> FunctionScorer:
        """The scorer.

        Raises:
            UserError: the function's module cannot be imported here.
        """
        try:
            return pickle.loads(self.pickled)  # from our own parent
        except (AttributeError, ImportError) as error:
            raise UserError(
                f"evaluate cannot be imported in a worker process ({error}): define it in a module "
                "or script, not in a notebook, or set workers=1"
            ) from error


def _name(given: object) -> str:
    """The name of a metric, which the history keeps as text."""
    name = str(given)
    if not name.isprintable():  # half of a surrogate pair is among what is not
        raise TypeError(f"evaluate returned a number called {name!r}, which is not printable text")
    return name


def _score(value: Any, name: object = None) -> float:
    """The score: no truth value, which is a number for Python and torch."""
    if isinstance(value, bool) or str(getattr(value, "dtype", "")) in ("bool", "torch.bool"):
        raise _not_a_number(value, name)
    return _number(value, name)


def _number(value: Any, name: object = None) -> float:
    """The value as a float; not-a-number where it is None."""
    if value is None and name is not None:  # some metrics are not defined for every candidate
        return math.nan
    if isinstance(value, str | bytes | bytearray):  # float() reads text, too
        raise _not_a_number(value, name)
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise _not_a_number(value, name) from None


def _not_a_number(value: object, name: object) -> TypeError:
    where = "" if name is None else f" for {name!r}"
    return TypeError(
        f"evaluate returned a {type(value).__name__}{where}; it must return a number, or a dict of "
        "numbers"
    )


def refuse_unguarded_script() -> None:
    """Refuse a search that a worker process starts while it imports the script that searches.

    In a worker of a search this ends the process, whose coordinator says why.

    Raises:
        UserError: in another process, whose script calls at its top level.
    """
    process = multiprocessing.current_process()
    if not getattr(process, "_inheriting", False):
        return
    if process.name == WORKER_NAME:
        os._exit(UNGUARDED)  # no traceback, and no `except` of the script catches it
    raise UserError(UNGUARDED_REASON)


def _refuse_script_without_file() -> None:
    """A worker imports the main script by its path, which one read from a pipe has not."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    if file is not None and getattr(main, "__spec__", None) is None and not Path(file).exists():
        raise UserError(
            f"worker processes cannot import the script {file}: save it as a file, or set workers=1"
        )
