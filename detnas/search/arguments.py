"""Reads and checks the arguments of `detnas.search`: each mistake is one line, before any work."""

import inspect
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from detnas.errors import UserError
from detnas.search.costs import read_latency_tables, size_latency_budgets
from detnas.search.executors.base import MissingScoreError
from detnas.search.executors.settings import ExecutorSettings
from detnas.search.history.file import FILE_NAME
from detnas.search.strategies import STRATEGIES, StrategySettings, read_strategy
from search_space.budget import Budget, parse_budget
from search_space.latency import LatencyTable
from search_space.sampling import BudgetSampler
from search_space.spaces import SearchSpace, parse_space
from search_space.validation import convert

BudgetLike = Budget | str | Mapping[str, Any]


def history_file(work_dir: Path | str) -> Path:
    """The absolute path of the history in `work_dir`, which may not exist yet.

    Raises:
        UserError: it is not the path of a folder, or it is an experiment's, whose own search is
            what its results are of.
    """
    if not isinstance(work_dir, str | Path) or not str(work_dir).strip() or "\0" in str(work_dir):
        raise UserError(f"work_dir is {work_dir!r}; it must be the path of a folder")
    folder = Path(work_dir)
    if (folder / "search" / FILE_NAME).exists() or (folder / "summary.json").exists():
        raise UserError(
            f"work_dir is {folder}, which holds an experiment: name a folder of the search's own"
        )
    return folder.absolute() / FILE_NAME


def check_function(name: str, given: object, argument: str) -> None:
    """Raise UserError unless `given` can be called with one value, which is `argument`."""
    if not callable(given):
        raise UserError(f"{name} is {given!r}; it must be a function of {argument}")
    try:
        signature = inspect.signature(given)
    except (TypeError, ValueError):  # some functions of C have none
        return
    try:
        signature.bind(None)
    except TypeError as error:
        raise UserError(f"{name} must take one argument, {argument}: {error}") from None


def check_flag(name: str, given: object) -> None:
    """Raise UserError unless it is True or False."""
    if not isinstance(given, bool):
        raise UserError(f"{name} is {given!r}; it must be True or False")


def check_count(name: str, given: object, least: int) -> None:
    """Raise UserError unless it is an integer of at least `least`."""
    if not isinstance(given, int) or isinstance(given, bool) or given < least:
        raise UserError(f"{name} is {given!r}; it must be an integer of at least {least}")


def check_name(name: str, given: object) -> None:
    """Raise UserError unless it is text that a file and a terminal can hold."""
    if not isinstance(given, str) or not given.strip() or not given.isprintable():
        raise UserError(f"{name} is {given!r}; it must be a name in printable text")


def sampler_of(
    space: str | Mapping[str, Any] | SearchSpace,
    budgets: BudgetLike | Sequence[BudgetLike],
    cost_tables: Path | str | Sequence[Path | str],
) -> tuple[BudgetSampler, tuple[LatencyTable, ...]]:
    """What draws architectures within the budgets, and the tables of measured costs.

    Raises:
        SpaceError, UserError: one of them is invalid, or no architecture is within the budgets.
    """
    parsed = parse_space(space)
    tables = [cost_tables] if isinstance(cost_tables, str | Path) else cost_tables
    if not isinstance(tables, Sequence) or not all(isinstance(each, str | Path) for each in tables):
        raise UserError(f"cost_tables is {cost_tables!r}; it must be a list of files")
    measured = read_latency_tables([os.fspath(each) for each in tables], parsed)
    if isinstance(budgets, str | bytes) or not isinstance(budgets, Sequence):
        budgets = [budgets]
    bounds = size_latency_budgets(list(map(_budget, budgets)), measured)
    return BudgetSampler(parsed, bounds, [table.costs for table in measured]), measured


def _budget(given: object) -> Budget:
    if isinstance(given, Budget):
        return given
    if isinstance(given, str):
        return parse_budget(given)
    if not isinstance(given, Mapping):
        raise UserError(
            f"budgets has {given!r}; it must be a text such as 'macs=..300e6', a dict such as "
            "{'cost': 'macs', 'upper': 300e6}, a Budget, or a list of these; leave it out for none"
        )
    return convert(given, Budget, "budgets")


def strategy_of(given: str | Mapping[str, Any] | StrategySettings) -> StrategySettings:
    """The settings of the strategy.

    Raises:
        SpaceError, UserError: they are invalid.
    """
    if isinstance(given, StrategySettings):  # of its own class, checked as a dict is
        return convert(msgspec.to_builtins(given), type(given), "strategy")
    if not isinstance(given, str | Mapping):
        raise UserError(
            f"strategy is {given!r}; it must be {', '.join(map(repr, STRATEGIES))}, or a dict of "
            'settings with its "type"'
        )
    return read_strategy({"type": given} if isinstance(given, str) else given, "strategy")


def executor_settings(workers: int, attempts: int, timeout: float) -> ExecutorSettings:
    """Where candidates are evaluated: in this process, or in several.

    Raises:
        SpaceError, UserError: one of them is invalid.
    """
    check_count("workers", workers, 1)
    check_count("attempts", attempts, 1)
    given: dict[str, Any] = {"attempts": attempts, "timeout": timeout}
    if workers > 1:
        given |= {"type": "processes", "workers": workers}
    return convert(given, ExecutorSettings)


def as_json(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The `depends_on` of a search as it reads back from its history.

    Raises:
        UserError: it is no dict, or JSON cannot hold it.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UserError(f"depends_on is {given!r}; it must be a dict of JSON values")
    try:
        text = json.dumps(given, allow_nan=False, ensure_ascii=False)
        text.encode()  # half of a surrogate pair is no text
        return dict(json.loads(text))
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"depends_on must hold JSON values only: {error}") from None


@contextmanager
def said_for_python(score: str) -> Iterator[None]:
    """Name arguments where messages of the command line name its options and config keys."""
    try:
        yield
    except UserError as error:
        text = str(error)
        for ours, theirs in _IN_PYTHON.items():
            text = text.replace(ours, theirs)
        if isinstance(error, MissingScoreError):
            text = text.replace(f"search.score '{score}'", f"score={score!r}")
            text = text.replace("the evaluator's metrics", "what evaluate returned")
        error.args = (text,)
        raise


_IN_PYTHON = {
    "--resume": "resume=True",
    "search.strategy": "strategy",
    "search.executor.": "",
}
