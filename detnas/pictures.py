"""The pictures of a finished experiment."""

from collections.abc import Sequence
from pathlib import Path

from detnas.evaluation.predict import Prediction
from detnas.report.architecture import draw_architecture
from detnas.report.curves import draw_cost_scatter, draw_search
from detnas.report.detections import DetectionSample, draw_detections
from detnas.search.history.file import FILE_NAME
from detnas.search.history.records import read_fingerprint, read_history
from search_space.architecture import Architecture


def draw_search_pictures(search_dir: Path, folder: Path) -> None:
    """The best architecture, score against evaluations, score against MACs, into `folder`."""
    fingerprint = read_fingerprint(search_dir / FILE_NAME)
    score, greater = fingerprint["score"], fingerprint["greater_is_better"]
    rows = read_history(search_dir / FILE_NAME)
    draw_architecture(
        Architecture.load(search_dir / "best_architecture.json"), folder / "architecture.png"
    )
    draw_search(rows, folder / "search.png", score_name=score, greater_is_better=greater)
    upper = next((b["upper"] for b in fingerprint["budgets"] if b["cost"] == "macs"), None)
    draw_cost_scatter(
        rows, folder / "costs.png", score_name=score, upper=upper, greater_is_better=greater
    )


def draw_detection_picture(
    predictions: Sequence[Prediction], classes: Sequence[str], folder: Path
) -> None:
    """Detections on some images of the test split, into `folder`."""
    samples = [DetectionSample(**vars(prediction)) for prediction in predictions]
    draw_detections(samples, folder / "detections.png", classes)
