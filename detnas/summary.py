"""What a finished experiment leaves: `summary.json`'s content, the pictures, the page."""

import json
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detnas.files import replacing
from detnas.search.history.file import FILE_NAME
from detnas.search.history.records import RANDOM, best_of, read_fingerprint, read_history
from detnas.training.hooks import FINAL_WEIGHTS
from search_space.architecture import Architecture
from search_space.cost import macs, params

if TYPE_CHECKING:
    from mmengine.config import Config

SUMMARY = "summary.json"
METRICS = "test_metrics.json"


def summarise(work_dir: Path, seconds: Mapping[str, float]) -> dict[str, Any]:
    """The outcome of an experiment's stages, as JSON values.

    Args:
        work_dir: the experiment's.
        seconds: of each stage that there is, by the process that finished it.
    """
    summary: dict[str, Any] = {"seconds": sum(seconds.values()), "stage_seconds": dict(seconds)}
    if "search" in seconds:
        summary |= _search_summary(work_dir / "search")
    if "test" in seconds:
        metrics = json.loads((work_dir / "test" / METRICS).read_text(encoding="utf-8"))
        summary["test_metrics"] = metrics
        if "coco/bbox_mAP" in metrics:
            summary["retrained_bbox_mAP"] = metrics["coco/bbox_mAP"]
    return summary


def _search_summary(folder: Path) -> dict[str, Any]:
    architecture = Architecture.load(folder / "best_architecture.json")
    fingerprint = read_fingerprint(folder / FILE_NAME)
    greater = fingerprint["greater_is_better"]
    rows = read_history(folder / FILE_NAME)
    best, random_best = best_of(rows, greater), best_of(rows, greater, role=RANDOM)
    assert best is not None
    random_scores = [r.score for r in rows if r.role == RANDOM and r.score is not None]
    budget = next((b["upper"] for b in fingerprint["budgets"] if b["cost"] == "macs"), None)
    return {
        "space": architecture.space.name,
        "best_choices": list(architecture.choices),
        "best_macs": macs(architecture),
        "best_params": params(architecture),
        "budget_macs": budget,
        "score": fingerprint["score"],
        "search_score": best.score,
        "evaluations": len([row for row in rows if row.role != RANDOM]),
        "random_mean_score": statistics.fmean(random_scores) if random_scores else None,
        "random_best_score": random_best.score if random_best else None,
        "random_evaluations": len(random_scores),
    }


def illustrate(work_dir: Path, test_config: "Config | None") -> None:
    """Draw what there is to draw: the architecture, the search, detections, `report.html`.

    Args:
        work_dir: the experiment's.
        test_config: of the tested network, where there is one.
    """
    try:
        from detnas.pictures import draw_detection_picture, draw_search_pictures
        from detnas.report.page import write_report
    except ModuleNotFoundError as error:
        print(f"no pictures: {error.name} is missing (detnas[report] has it)", file=sys.stderr)
        return
    if test_config is not None and "num_classes" not in test_config.model.get("head", {}):
        from detnas.evaluation.predict import predict

        predictions, classes = predict(test_config, work_dir / "retrain" / FINAL_WEIGHTS, images=8)
        draw_detection_picture(predictions, classes, work_dir)
    best = work_dir / "search" / "best_architecture.json"
    if best.is_file():
        with replacing(work_dir / best.name) as temporary:
            temporary.write_bytes(best.read_bytes())
        draw_search_pictures(work_dir / "search", work_dir)
        write_report(work_dir)
