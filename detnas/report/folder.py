"""A search's folder, read and checked: the history, how it was made, and the files beside it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detnas.errors import UserError
from detnas.search.history.file import FILE_NAME as HISTORY_FILE
from detnas.search.history.records import (
    SEARCH,
    Evaluation,
    best_of,
    read_fingerprint,
    read_history,
)
from search_space.architecture import Architecture, load_document
from search_space.budget import Budget
from search_space.spaces import SearchSpace

BEST_FILE = "best_architecture.json"
SUMMARY_FILE = "summary.json"
DETECTIONS_FILE = "detections.png"


@dataclass(frozen=True)
class SearchFolder:
    """What a report tells of.

    Attributes:
        name: the folder's own name.
        rows: the history, finished or not.
        space: what was searched, with its `channel_shuffle`.
        strategy: the type of the search strategy.
        objectives: the costs that it minimises beside the score; empty where it has none.
        seed: of the search; None where the history does not say.
        score_name: the metric that ranks candidates.
        greater_is_better: whether its highest value is the best.
        budgets: bounds that every candidate keeps.
        stated_best: `best_architecture.json`; None where there is none.
        summary: `summary.json`; empty where there is none.
        detections: the picture `detections.png`; None where there is none.
    """

    name: str
    rows: tuple[Evaluation, ...]
    space: SearchSpace
    channel_shuffle: str
    strategy: str
    objectives: tuple[str, ...]
    seed: int | None
    score_name: str
    greater_is_better: bool
    budgets: tuple[Budget, ...]
    stated_best: Architecture | None
    summary: dict[str, Any]
    detections: bytes | None

    @property
    def best(self) -> Evaluation | None:
        """The best candidate of the search so far, None where none has a score."""
        return best_of(self.rows, self.greater_is_better)

    @property
    def best_architecture(self) -> Architecture | None:
        """The same as an architecture."""
        if (best := self.best) is None:
            return None
        return Architecture(self.space, best.choices, self.channel_shuffle)

    def of_role(self, role: str = SEARCH) -> list[Evaluation]:
        """The rows of the search, or those of its random baseline."""
        return [row for row in self.rows if row.role == role]


def read_folder(folder: Path) -> SearchFolder:
    """Read a search's folder, or an experiment's, where the history is in `search/`.

    Raises:
        ValueError: there is no history, or one of the files is damaged or of another search.
    """
    history = folder / HISTORY_FILE
    if not history.is_file() and (folder / "search" / HISTORY_FILE).is_file():
        history = folder / "search" / HISTORY_FILE  # an experiment's folder
    if not history.is_file():
        raise UserError(f"{history}: no such history; give the folder of a search")
    rows, settings = read_history(history), read_fingerprint(history)
    detections = folder / DETECTIONS_FILE
    try:
        space = SearchSpace.from_dict(settings["space"])
        return SearchFolder(
            name=folder.resolve().name,
            rows=tuple(rows),
            space=space,
            channel_shuffle=settings["channel_shuffle"],
            strategy=settings["strategy"]["type"],
            objectives=tuple(settings["strategy"].get("objectives", ())),
            seed=settings.get("seed"),
            score_name=settings["score"],
            greater_is_better=settings["greater_is_better"],
            budgets=tuple(map(_budget, settings["budgets"])),
            stated_best=_read_best(folder / BEST_FILE, space),
            summary=_read_summary(folder / SUMMARY_FILE),
            detections=detections.read_bytes() if detections.is_file() else None,
        )
    except KeyError as error:
        raise UserError(f"{history}: its settings lack {error}, no search made it") from None


def _budget(recorded: dict[str, Any]) -> Budget:
    channels, height, width = recorded["input_size"]
    return Budget(**{**recorded, "input_size": (channels, height, width)})


def _read_best(path: Path, space: SearchSpace) -> Architecture | None:
    if not path.exists():
        return None
    architecture = Architecture.from_dict(load_document(path))
    if architecture.space != space:
        raise UserError(
            f"{path} is of the space {architecture.space.name!r}, the history beside it of "
            f"{space.name!r}: one of them belongs to another search"
        )
    return architecture


def _read_summary(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not a JSON file ({error})") from None
    if not isinstance(summary, dict):
        raise UserError(f"{path}: must hold a JSON object")
    return summary
