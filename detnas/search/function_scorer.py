"""Scores candidates by a user's Python function, in this process or in workers."""

import json
import math
import multiprocessing
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from detnas.errors import UserError
from detnas.search.executors.base import MissingScoreError, describe
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
        """
        returned = self.function(Architecture(self.space, choices, self.channel_shuffle))
        if isinstance(returned, Mapping):
            return {str(name): _number(value, f" for {name!r}") for name, value in returned.items()}
        return {self.score: _number(returned)}


@dataclass(frozen=True)
class MakeFunctionScorer:
    """Builds the scorer in a worker process; see `executors.base.MakeEvaluate`."""

    pickled: bytes

    @classmethod
    def of(cls, scorer: FunctionScorer) -> "MakeFunctionScorer":
        """What is sent to the workers.

        Raises:
            UserError: the function cannot be sent, as one inside another function cannot.
        """
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


def _number(value: Any, where: str = "") -> float:
    """The value as a float; not-a-number where it is None."""
    if value is None and where:  # some metrics are not defined for every candidate
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        kind = type(value).__name__
        raise TypeError(
            f"evaluate returned a {kind}{where}; it must return a number, or a dict of numbers"
        ) from None


def refuse_unguarded_script() -> None:
    """Refuse a search that a worker process starts while it imports the script that searches.

    Raises:
        UserError: the script calls at its top level.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UserError(
            "a worker process imports this script and meets the search again: make the call under "
            '`if __name__ == "__main__":`'
        )


@contextmanager
def said_for_python(score: str) -> Iterator[None]:
    """Name arguments where messages of the command line name its options and config keys."""
    try:
        yield
    except UserError as error:
        text = str(error).replace("--resume", "resume=True").replace("search.strategy", "strategy")
        if isinstance(error, MissingScoreError):
            text = text.replace(f"search.score '{score}'", f"score={score!r}")
            text = text.replace("the evaluator's metrics", "what evaluate returned")
        error.args = (text,)
        raise


def as_json(given: Mapping[str, Any]) -> dict[str, Any]:
    """The `depends_on` of a search as it reads back from its history.

    Raises:
        UserError: JSON cannot hold it.
    """
    try:
        return dict(json.loads(json.dumps(given, allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise UserError(f"depends_on must hold JSON values only: {error}") from None
