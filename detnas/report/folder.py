"""What a report reads in the folder of a search or an experiment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detnas.errors import UserError, user_input
from detnas.fidelity import table_file
from detnas.fidelity.table import Table
from detnas.report.losses import LossCurve, read_losses
from detnas.report.stages import StageRecord, read_stages
from detnas.search.compared import Comparison, read_comparison
from detnas.search.detection_errors import DetectionErrors, read_errors
from detnas.search.finalists import Finalists, read_finalists
from detnas.search.history.reading import SearchHistory, find_history
from detnas.search.results import BEST_FILE
from detnas.search.shown_images import ShownImages, read_shown
from detnas.search.trained import TrainedCandidates, read_trained
from search_space.architecture import Architecture
from search_space.documents import read_document
from search_space.errors import SpaceError

SUMMARY_FILE = "summary.json"
REPORT_FILE = "report.html"
DETECTIONS_FILE = "detections.png"
_METRICS_FILE = "test/test_metrics.json"


@dataclass(frozen=True)
class ReportFolder:
    """What a report shows.

    Attributes:
        name: the folder's own name.
        history: of the search, finished or not; None before it has begun.
        stated_best: `best_architecture.json`; None where there is none.
        summary: `summary.json`; where there is none, its `test_metrics` and `score` if known.
        detections: the picture `detections.png`; None where there is none.
        shown: detections on some images of the test split; None where there are none.
        errors: of the tested network; None where they were not counted.
        fidelity: the scores of `detnas fidelity`; None where it has not finished.
        finalists: of the search; None where none were scored.
        trained: candidates that were trained on their own; None where none were.
        comparison: with other networks; None where there is none.
        stages: those that were begun, in order.
        losses: of the trainings.
    """

    name: str
    history: SearchHistory | None
    stated_best: Architecture | None
    summary: dict[str, Any]
    detections: bytes | None
    shown: ShownImages | None
    errors: DetectionErrors | None
    fidelity: Table | None
    finalists: Finalists | None
    trained: TrainedCandidates | None
    comparison: Comparison | None
    stages: list[StageRecord]
    losses: list[LossCurve]


def read_folder(folder: Path) -> ReportFolder:
    """Read the folder of a search or an experiment.

    Raises:
        UserError: there is neither a history nor a stage that was begun, or one of the files is
            damaged or of another search.
    """
    stages = read_stages(folder)
    has_history = find_history(folder).is_file()
    history = SearchHistory.read(folder) if has_history or not stages else None
    best, detections = folder / BEST_FILE, folder / DETECTIONS_FILE
    with user_input():
        stated = Architecture.load(best) if best.exists() else None
    if stated and history and stated.space != history.space:
        raise UserError(
            f"{best} is of the space {stated.space.name!r}, the history beside it of "
            f"{history.space.name!r}: one of them belongs to another search"
        )
    scores = folder / table_file.FOLDER / table_file.FILE_NAME
    return ReportFolder(
        name=folder.resolve().name,
        history=history,
        stated_best=stated,
        summary=_summary(folder, history),
        detections=detections.read_bytes() if detections.is_file() else None,
        shown=read_shown(folder),
        errors=read_errors(folder / "test"),
        fidelity=table_file.read_table(scores) if scores.is_file() else None,
        finalists=None if history is None else read_finalists(history.path.parent),
        trained=None if history is None else read_trained(history),
        comparison=read_comparison(folder / "compare"),
        stages=stages,
        losses=read_losses(folder),
    )


def _summary(folder: Path, history: SearchHistory | None) -> dict[str, Any]:
    summary, metrics = folder / SUMMARY_FILE, folder / _METRICS_FILE
    with user_input():
        if summary.exists():
            return read_document(summary, "no such file", _json_object)
        if not metrics.exists():
            return {}
        found = {"test_metrics": read_document(metrics, "no such file", _json_object)}
    return found if history is None else {**found, "score": history.score_name}


def _json_object(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise SpaceError("must hold a JSON object")
    return content
