"""A small tabular benchmark: architectures of one space with scores of several kinds.

Score columns are named by kind, then seed: "standalone/pretrained/seed0", "supernet/plain/seed0".
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from detnas.errors import UnsupportedError, UserError, user_input
from detnas.search.history.reading import SearchHistory
from search_space.architecture import Architecture, Choices
from search_space.cost import DEFAULT_INPUT_SIZE, InputSize, computed_tables
from search_space.spaces import SearchSpace
from search_space.validation import did_you_mean

COST_COLUMNS = ("macs", "params")
FIXED_COLUMNS = ("choices", "group", *COST_COLUMNS)
SPACE_GROUP = "space"
"""Group of architectures drawn from the whole space; "band" is that of a narrow range of MACs."""


@dataclass(frozen=True)
class Table:
    """Architectures of one space and their scores, higher is better.

    Attributes:
        space: the search space.
        architectures: the choices of each row; all different.
        groups: how each row was drawn, such as "space" or "band".
        scores: per column a score per row, None where it is missing.
        input_size: that the MACs are for, (channels, height, width).
        about: what else is known of the scores: metric, date, machine, command; plain data.

    Raises:
        UserError: an architecture outside the space or twice, columns of different lengths, a
            score that is not finite, or a column with the name of a fixed one.
    """

    space: SearchSpace
    architectures: tuple[Choices, ...]
    groups: tuple[str, ...]
    scores: Mapping[str, tuple[float | None, ...]]
    input_size: InputSize = DEFAULT_INPUT_SIZE
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        seen: set[Choices] = set()
        for choices in self.architectures:
            with user_input():
                key = Architecture(self.space, choices).key
            if choices in seen:
                raise UserError(f"{key} occurs twice; remove one of its rows")
            seen.add(choices)
        for name, values in {"group": self.groups, **self.scores}.items():
            if len(values) != len(self.architectures):
                raise UserError(
                    f"column {name!r} has {len(values)} values for "
                    f"{len(self.architectures)} architectures"
                )
        for name, scores in self.scores.items():
            if name in FIXED_COLUMNS or not name:
                raise UserError(f"a score column cannot be called {name!r}; rename it")
            if not all(score is None or math.isfinite(score) for score in scores):
                raise UserError(f"column {name!r} has a score that is not finite")

    @cached_property
    def choices(self) -> np.ndarray:
        """The architectures, int64 [n, blocks]."""
        shape = (len(self.architectures), self.space.num_blocks)
        return np.array(self.architectures, dtype=np.int64).reshape(shape)

    @cached_property
    def costs(self) -> dict[str, np.ndarray]:
        """Computed costs by name, "macs" and "params": int64 [n]."""
        tables = computed_tables(self.space, self.input_size)
        return {table.name: table.of_many(self.choices) for table in tables}

    def column(self, name: str) -> np.ndarray:
        """The scores of one column, float [n]; nan where one is missing.

        Raises:
            UserError: no such column.
        """
        if name not in self.scores:
            raise UserError(f"no column {name!r}; {did_you_mean(name, self.scores, list_all=True)}")
        return np.array(self.scores[name], dtype=float)

    def names(self, prefix: str) -> list[str]:
        """The columns called `prefix` or "`prefix`/...", in the order of the table.

        Raises:
            UserError: there is none.
        """
        found = [n for n in self.scores if n == prefix or n.startswith(f"{prefix}/")]
        if not found:
            raise UserError(f"no column begins with {prefix!r}; known: {', '.join(self.scores)}")
        return found

    def columns(self, prefix: str) -> np.ndarray:
        """The scores of the columns `names(prefix)`, float [n, columns]; nan where missing."""
        return np.stack([self.column(name) for name in self.names(prefix)], axis=1)

    def subset(self, group: str) -> "Table":
        """The rows of one group.

        Raises:
            UserError: there are none.
        """
        if group not in self.groups:
            known = list(dict.fromkeys(self.groups))
            raise UserError(f"no group {group!r}; {did_you_mean(group, known, list_all=True)}")
        return self.select([name == group for name in self.groups])

    def select(self, kept: Sequence[bool]) -> "Table":
        """The rows for which `kept` is true."""
        rows = [row for row, wanted in enumerate(kept) if wanted]
        return replace(
            self,
            architectures=tuple(self.architectures[row] for row in rows),
            groups=tuple(self.groups[row] for row in rows),
            scores={name: tuple(s[row] for row in rows) for name, s in self.scores.items()},
        )

    def with_column(self, name: str, scores: Mapping[Choices, float | None]) -> "Table":
        """The table with a column added or replaced; rows without a score have None."""
        column = tuple(scores.get(choices) for choices in self.architectures)
        return replace(self, scores={**self.scores, name: column})


def from_histories(
    histories: Mapping[str, SearchHistory],
    group: Callable[[Choices], str] = lambda choices: SPACE_GROUP,
    input_size: InputSize = DEFAULT_INPUT_SIZE,
    about: Mapping[str, Any] | None = None,
) -> Table:
    """Join histories of one space into a table.

    Rows are in the order in which architectures first occur. Search and baseline both count; of an
    architecture that has several scores in one history, the first one is taken. A failed or
    unfinished evaluation is a missing score.

    Args:
        histories: by the name of the column.
        group: the group of an architecture.
        input_size: that the MACs are for.
        about: see `Table`.

    Raises:
        UserError: no histories, histories of different spaces, or a score whose lowest value is
            the best.
    """
    if not histories:
        raise UserError("a table needs at least one history")
    space = next(iter(histories.values())).space
    scores: dict[str, dict[Choices, float]] = {}
    architectures: dict[Choices, None] = {}
    for name, history in histories.items():
        if history.space != space:
            raise UserError(
                f"{history.path}: its space is {history.space.name!r}, not {space.name!r} as in "
                "the first history; make one table per space"
            )
        if not history.fingerprint.get("greater_is_better", True):
            raise UnsupportedError(
                f"{history.path}: the lowest score is the best; a table needs scores of which the "
                "highest is"
            )
        column = scores.setdefault(name, {})
        for row in history.rows:
            architectures.setdefault(row.choices)
            if row.score is not None:
                column.setdefault(row.choices, row.score)
    rows = tuple(architectures)
    return Table(
        space,
        rows,
        tuple(map(group, rows)),
        {name: tuple(map(column.get, rows)) for name, column in scores.items()},
        input_size,
        about or {},
    )
