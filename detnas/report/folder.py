"""What a report reads in the folder of a search or an experiment."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detnas.errors import UserError, user_input
from detnas.search.history.reading import SearchHistory
from detnas.search.results import BEST_FILE
from search_space.architecture import Architecture

SUMMARY_FILE = "summary.json"
DETECTIONS_FILE = "detections.png"


@dataclass(frozen=True)
class ReportFolder:
    """What a report shows.

    Attributes:
        name: the folder's own name.
        history: of the search, finished or not.
        stated_best: `best_architecture.json`; None where there is none.
        summary: `summary.json`; empty where there is none.
        detections: the picture `detections.png`; None where there is none.
    """

    name: str
    history: SearchHistory
    stated_best: Architecture | None
    summary: dict[str, Any]
    detections: bytes | None


def read_folder(folder: Path) -> ReportFolder:
    """Read the folder of a search or an experiment.

    Raises:
        UserError: there is no history, or one of the files is damaged or of another search.
    """
    history = SearchHistory.read(folder)
    detections = folder / DETECTIONS_FILE
    return ReportFolder(
        name=folder.resolve().name,
        history=history,
        stated_best=_read_best(folder / BEST_FILE, history),
        summary=_read_summary(folder / SUMMARY_FILE),
        detections=detections.read_bytes() if detections.is_file() else None,
    )


def _read_best(path: Path, history: SearchHistory) -> Architecture | None:
    if not path.exists():
        return None
    with user_input():
        architecture = Architecture.load(path)
    if architecture.space != history.space:
        raise UserError(
            f"{path} is of the space {architecture.space.name!r}, the history beside it of "
            f"{history.space.name!r}: one of them belongs to another search"
        )
    return architecture


def _read_summary(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not a JSON file ({error})") from None
    if not isinstance(summary, dict):
        raise UserError(f"{path}: must hold a JSON object")
    return summary
