"""What a report reads in the folder of a search or an experiment.

A file that is damaged or of another search is left out, and the page says so in a line. Nothing
outside of the folder is read, so it may have been moved or copied.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from detnas.errors import MissingFileError, Problems, UserError, user_input
from detnas.fidelity import table_file
from detnas.fidelity.table import Table
from detnas.report.losses import LossCurve, read_curve, trainings
from detnas.report.pictures import as_jpeg, check_pictures
from detnas.report.stages import STAGE_FILE, StageRecord, in_order, read_stage, stage_files
from detnas.report.summary_file import SUMMARY_FILE, read_metrics, read_summary
from detnas.search.compared import Comparison, read_comparison
from detnas.search.detection_errors import ERRORS_FILE, DetectionErrors, read_errors
from detnas.search.finalists import Finalists, read_finalists
from detnas.search.history.file import FILE_NAME
from detnas.search.history.reading import SearchHistory, find_history
from detnas.search.history.records import Evaluation
from detnas.search.results import BEST_FILE, best_candidate
from detnas.search.shown_images import SHOWN_FILE, ShownImages, read_shown
from detnas.search.trained import TrainedCandidates, read_trained
from search_space.architecture import Architecture

__all__ = ["DETECTIONS_FILE", "REPORT_FILE", "SUMMARY_FILE", "ReportFolder", "read_folder"]

REPORT_FILE = "report.html"
DETECTIONS_FILE = "detections.png"
_METRICS_FILE = "test/test_metrics.json"
T = TypeVar("T")


@dataclass(frozen=True)
class ReportFolder:
    """What a report shows.

    Attributes:
        name: the folder's own name.
        history: of the search, finished or not; None before it has begun.
        best: the candidate that the search has chosen; None before one has a score.
        stated_best: `best_architecture.json`; None where there is none.
        summary: `summary.json`; where there is none, its `test_metrics` and `score` if known.
        detections: the picture `detections.png` as a JPEG; None where there is none, and where
            `shown` has the images one by one.
        shown: detections on some images of the test split; None where there are none.
        errors: of the tested network; None where they were not counted.
        fidelity: the scores of `detnas fidelity`; None where it has not finished.
        finalists: of the search; None where none were scored.
        trained: candidates that were trained on their own; None where none were.
        comparison: with other networks; None where there is none.
        stages: those that were begun, in order.
        losses: of the trainings.
        problems: of files that are left out.
    """

    name: str
    history: SearchHistory | None
    best: Evaluation | None
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
    problems: Problems


def read_folder(folder: Path) -> ReportFolder:
    """Read the folder of a search or an experiment.

    Raises:
        UserError: there is neither a history nor a stage that can be read.
    """
    read = _Reader()
    stages = [found for each in stage_files(folder) if (found := read(partial(read_stage, each)))]
    history = read(lambda: _history(folder)) if find_history(folder).is_file() else None
    if history is None and not stages:
        read.problems.raise_found()
        raise _nothing_to_report(folder)
    best, finalists, trained = read(lambda: _chosen(history)) or (None, None, None)
    if history is not None and best is None:
        best = history.best()
    shown = read(lambda: check_pictures(folder / SHOWN_FILE, read_shown(folder), "images"))
    errors_file = folder / "test" / ERRORS_FILE
    scores = folder / table_file.FOLDER / table_file.FILE_NAME
    return ReportFolder(
        name=folder.resolve().name,
        history=history,
        best=best,
        stated_best=read(lambda: _stated_best(folder / BEST_FILE, history)),
        summary=_summary(folder, history, read),
        detections=read(lambda: as_jpeg(folder / DETECTIONS_FILE)) if shown is None else None,
        shown=shown,
        errors=read(lambda: check_pictures(errors_file, read_errors(errors_file.parent), "worst")),
        fidelity=read(lambda: table_file.read_table(scores)) if scores.is_file() else None,
        finalists=finalists,
        trained=trained,
        comparison=read(lambda: read_comparison(folder / "compare")),
        stages=in_order(stages),
        losses=[
            curve
            for each in trainings(folder)
            if (curve := read(partial(read_curve, each, folder)))
        ],
        problems=read.problems,
    )


class _Reader:
    """Calls what reads a file, and keeps what is wrong with it; its result is None then."""

    def __init__(self) -> None:
        self.problems = Problems()

    def __call__(self, read: Callable[[], T]) -> T | None:
        with self.problems:
            try:
                return read()
            except OSError as error:
                if isinstance(error, UserError):
                    raise
                raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from error
        return None


def _nothing_to_report(folder: Path) -> UserError:
    """What was looked for, and where there is something instead."""
    if not folder.is_dir():
        return MissingFileError(f"{folder}: no such folder of a search or an experiment")
    looked = f"{FILE_NAME}, search/{FILE_NAME}, {STAGE_FILE} and */{STAGE_FILE}"
    below = [each for each in sorted(folder.glob("*")) if each.is_dir() and _is_reported(each)]
    hint = "give the work directory of a search or an experiment, such as work_dirs/NAME"
    if below:
        hint = f"give one of {', '.join(map(str, below[:5]))}{', ...' if below[5:] else ''}"
    return UserError(f"{folder} is no search and no experiment, as it has none of {looked}: {hint}")


def _is_reported(folder: Path) -> bool:
    return find_history(folder).is_file() or bool(stage_files(folder))


def _history(folder: Path) -> SearchHistory:
    """The history, with those of its settings that the page needs."""
    history = SearchHistory.read(folder)
    names = ("space", "budgets", "strategy", "score_name", "greater_is_better", "channel_shuffle")
    for name in names:
        getattr(history, name)  # raises where it is missing or invalid
    return history


def _chosen(
    history: SearchHistory | None,
) -> tuple[Evaluation | None, Finalists | None, TrainedCandidates | None]:
    """The candidate that a search has chosen, and the files that it was chosen by."""
    if history is None:
        return None, None, None
    best = None if history.best() is None else best_candidate(history)
    return best, read_finalists(history.path.parent), read_trained(history)


def _stated_best(path: Path, history: SearchHistory | None) -> Architecture | None:
    if not path.exists():
        return None
    with user_input():
        stated = Architecture.load(path)
    if history is not None and stated.space != history.space:
        raise UserError(
            f"{path} is of the space {stated.space.name!r}, the history beside it of "
            f"{history.space.name!r}: one of them belongs to another search"
        )
    return stated


def _summary(folder: Path, history: SearchHistory | None, read: _Reader) -> dict[str, Any]:
    """`summary.json`; where it is missing or damaged, the metrics of the test."""
    summary, metrics = folder / SUMMARY_FILE, folder / _METRICS_FILE
    whole = read(lambda: read_summary(summary)) if summary.exists() else None
    if whole is not None:
        return whole
    tested = read(lambda: read_metrics(metrics)) if metrics.exists() else None
    if tested is None:
        return {}
    found: dict[str, Any] = {"test_metrics": tested}
    return found if history is None else {**found, "score": history.score_name}
