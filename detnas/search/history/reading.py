"""`SearchHistory`: the candidates and settings of a search, read from its history file."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from detnas.errors import UserError, user_input
from detnas.search.front import pareto_front
from detnas.search.history.file import FILE_NAME, open_checked
from detnas.search.history.records import (
    DONE,
    DROPPED,
    FAILED,
    RANDOM,
    SEARCH,
    Evaluation,
    ranked,
    read_rows,
    recorded_fingerprint,
)
from search_space.architecture import Architecture, Choices
from search_space.budget import Budget
from search_space.spaces import SearchSpace, parse_space
from search_space.validation import convert


@dataclass(frozen=True)
class SearchHistory:
    """The contents of a history; the search may still be running.

    Attributes:
        path: the SQLite file.
        rows: all evaluations in order of generation, the random baseline last.
        fingerprint: the recorded settings that scores and proposals depend on.
    """

    path: Path
    rows: tuple[Evaluation, ...]
    fingerprint: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path | str) -> "SearchHistory":
        """Read a history without a lock, even while a search writes it.

        Args:
            path: a `history.db`, the work directory of a search, or that of an experiment.

        Raises:
            UserError: it does not exist, is damaged, or has an unknown version.
        """
        if not isinstance(path, str | Path):
            raise UserError(f"path is {path!r}: give a history.db or a work directory")
        file = find_history(Path(path))
        with closing(open_checked(file, "ro")) as connection:
            return cls(file, tuple(read_rows(connection)), recorded_fingerprint(connection))

    @cached_property
    def space(self) -> SearchSpace:
        """The search space."""
        with user_input(str(self.path)):
            return parse_space(self.recorded("space"))

    @property
    def channel_shuffle(self) -> str:
        """The supernet's channel shuffle: "even_odd" or "interleave"."""
        return str(self.recorded("channel_shuffle"))

    @property
    def score_name(self) -> str:
        """The metric that ranks candidates."""
        return str(self.recorded("score"))

    @property
    def greater_is_better(self) -> bool:
        """Whether the highest score is the best."""
        return bool(self.recorded("greater_is_better"))

    @property
    def strategy(self) -> Mapping[str, Any]:
        """The settings of the strategy, with its "type"."""
        strategy = self.recorded("strategy")
        if not isinstance(strategy, Mapping):
            raise UserError(f"{self.path}: its setting 'strategy' is {strategy!r}, not a dict")
        return strategy

    @property
    def objectives(self) -> tuple[str, ...]:
        """The costs that the strategy minimises besides the score; may be empty."""
        return tuple(self.strategy.get("objectives", ()))

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The budgets that every candidate satisfies."""
        with user_input(f"{self.path}: its setting 'budgets'"):
            return convert(self.recorded("budgets"), tuple[Budget, ...])

    @property
    def macs_budget(self) -> Budget | None:
        """The budget on multiply-adds; None if there is none."""
        return next((budget for budget in self.budgets if budget.cost == "macs"), None)

    @property
    def seed(self) -> int | None:
        """The seed of the search; None if it is not recorded."""
        return self.fingerprint.get("seed")

    @property
    def candidates(self) -> tuple[Evaluation, ...]:
        """The rows of the search without the baseline, in the order of proposal."""
        return tuple(row for row in self.rows if row.role == SEARCH)

    @property
    def baseline(self) -> tuple[Evaluation, ...]:
        """The rows of the random baseline."""
        return tuple(row for row in self.rows if row.role == RANDOM)

    @property
    def failed(self) -> tuple[Evaluation, ...]:
        """The rows whose evaluation failed."""
        return tuple(row for row in self.rows if row.status == FAILED)

    @property
    def dropped(self) -> tuple[Evaluation, ...]:
        """The rows that racing dropped; they were evaluated, and have no score."""
        return tuple(row for row in self.rows if row.status == DROPPED)

    @property
    def has_only_failed(self) -> bool:
        """Whether candidates have failed and none has a score."""
        statuses = {row.status for row in self.rows}
        return FAILED in statuses and DONE not in statuses

    @property
    def all_scores(self) -> list[float]:
        """The scores of the search and of the baseline."""
        return [row.score for row in self.rows if row.score is not None]

    def scores(self, role: str = SEARCH) -> list[float]:
        """The scores of `role`, in the order of proposal."""
        return [row.score for row in self.rows if row.role == role and row.score is not None]

    def ranked(self, role: str = SEARCH) -> list[Evaluation]:
        """The rows of `role` that have a score, the best first, as the search ranks them."""
        return ranked(self.rows, self.greater_is_better, role)

    def best(self, role: str = SEARCH) -> Evaluation | None:
        """The first of `ranked`; None if no row has a score."""
        return next(iter(self.ranked(role)), None)

    def require_best(self) -> Evaluation:
        """The best candidate of the search.

        Raises:
            UserError: no candidate has a score yet.
        """
        best = self.best()
        if best is None:
            raise UserError(f"{self.path}: no candidate has a score yet; resume the search first")
        return best

    def front(self, objectives: Sequence[str], role: str = SEARCH) -> list[Evaluation]:
        """The Pareto front of score and costs; see `detnas.search.front.pareto_front`.

        Raises:
            UserError: `objectives` is not a list of names of costs.
        """
        if isinstance(objectives, str):
            raise UserError(f"objectives is {objectives!r}: give a list, [{objectives!r}]")
        done = [row for row in self.rows if row.role == role and row.status == DONE]
        return pareto_front(done, objectives, self.greater_is_better)

    def architecture(self, row: Evaluation) -> Architecture:
        """The architecture of a row, in the space and with the channel shuffle of the search."""
        with user_input(f"{self.path}: row {row.id}"):
            return self.architecture_of(row.choices)

    def architecture_of(self, choices: Choices) -> Architecture:
        """The architecture of choices, in the space and with the channel shuffle of the search."""
        return Architecture(self.space, choices, self.channel_shuffle)

    def recorded(self, key: str) -> Any:
        """A setting that every search records, by its key in `fingerprint`.

        Raises:
            UserError: it is not there.
        """
        if key not in self.fingerprint:
            raise UserError(f"{self.path}: its settings lack {key!r}; it is not from a search")
        return self.fingerprint[key]


def find_history(path: Path) -> Path:
    """The history file for a path to it, or to the folder of a search or an experiment."""
    if path.suffix == ".db" or path.is_file():
        return path
    inside = path / "search" / FILE_NAME
    return inside if inside.is_file() and not (path / FILE_NAME).is_file() else path / FILE_NAME
