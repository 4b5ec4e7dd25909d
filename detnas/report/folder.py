"""What a report reads in the folder of a search or an experiment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detnas.errors import UserError, user_input
from detnas.fidelity import table_file
from detnas.fidelity.table import Table
from detnas.search.compared import Comparison, read_comparison
from detnas.search.finalists import Finalists, read_finalists
from detnas.search.history.reading import SearchHistory
from detnas.search.results import BEST_FILE
from detnas.search.trained import TrainedCandidates, read_trained
from search_space.architecture import Architecture
from search_space.documents import read_document
from search_space.errors import SpaceError

SUMMARY_FILE = "summary.json"
REPORT_FILE = "report.html"
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
        fidelity: the scores of `detnas fidelity`; None where it has not finished.
        finalists: of the search; None where none were scored.
        trained: candidates that were trained on their own; None where none were.
        comparison: with other networks; None where there is none.
    """

    name: str
    history: SearchHistory
    stated_best: Architecture | None
    summary: dict[str, Any]
    detections: bytes | None
    fidelity: Table | None
    finalists: Finalists | None
    trained: TrainedCandidates | None
    comparison: Comparison | None


def read_folder(folder: Path) -> ReportFolder:
    """Read the folder of a search or an experiment.

    Raises:
        UserError: there is no history, or one of the files is damaged or of another search.
    """
    history = SearchHistory.read(folder)
    best, summary, detections = folder / BEST_FILE, folder / SUMMARY_FILE, folder / DETECTIONS_FILE
    with user_input():
        stated = Architecture.load(best) if best.exists() else None
        values = read_document(summary, "no such file", _json_object) if summary.exists() else {}
    if stated and stated.space != history.space:
        raise UserError(
            f"{best} is of the space {stated.space.name!r}, the history beside it of "
            f"{history.space.name!r}: one of them belongs to another search"
        )
    image = detections.read_bytes() if detections.is_file() else None
    scores = folder / table_file.FOLDER / table_file.FILE_NAME
    fidelity = table_file.read_table(scores) if scores.is_file() else None
    finalists = read_finalists(history.path.parent)
    name = folder.resolve().name
    trained = read_trained(history)
    compared = read_comparison(folder / "compare")
    return ReportFolder(
        name, history, stated, values, image, fidelity, finalists, trained, compared
    )


def _json_object(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise SpaceError("must hold a JSON object")
    return content
