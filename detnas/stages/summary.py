"""What a finished experiment leaves: the content of `summary.json`, the pictures, the page."""

import json
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detnas.evaluation.complexity import detector_macs
from detnas.evaluation.evaluator import predict
from detnas.files import replacing
from detnas.report.folder import DETECTIONS_FILE
from detnas.search.against_random import uniform_draws
from detnas.search.finalists import read_finalists
from detnas.search.history.reading import SearchHistory
from detnas.search.results import BEST_FILE
from detnas.stages.base import Stage
from detnas.stages.test import METRICS_FILE
from detnas.training.hooks import FINAL_WEIGHTS
from search_space.architecture import Architecture, macs, params


def summarise(
    work_dir: Path, seconds: Mapping[str, float], test: Stage | None = None
) -> dict[str, Any]:
    """The outcome of an experiment's stages, as JSON values.

    Args:
        work_dir: the experiment's.
        seconds: that each stage took.
        test: the stage that tested the network, where there is one.
    """
    summary: dict[str, Any] = {"seconds": sum(seconds.values()), "stage_seconds": dict(seconds)}
    if "search" in seconds:
        summary |= _search_summary(SearchHistory.read(work_dir / "search"))
    if test is not None:
        metrics = json.loads((work_dir / "test" / METRICS_FILE).read_text(encoding="utf-8"))
        summary["test_metrics"] = metrics
        if "coco/bbox_mAP" in metrics:
            summary["retrained_bbox_mAP"] = metrics["coco/bbox_mAP"]
        if _is_detector(test):
            count, size = detector_macs(test.config, work_dir / "retrain" / FINAL_WEIGHTS)
            summary |= {"detector_macs": count, "detector_input_size": size}
    return summary


def _is_detector(test: Stage) -> bool:
    return "num_classes" not in test.config.model.get("head", {})


def _search_summary(history: SearchHistory) -> dict[str, Any]:
    architecture = Architecture.load(history.path.parent / BEST_FILE)
    chosen = [row for row in history.candidates if row.choices == architecture.choices]
    found = read_finalists(history.path.parent)
    random = [row.score for row in uniform_draws(history) if row.score is not None]
    best_of = max if history.greater_is_better else min
    return {
        "space": architecture.space.name,
        "best_choices": list(architecture.choices),
        "best_macs": macs(architecture),
        "best_params": params(architecture),
        "budget_macs": next((b.upper for b in history.budgets if b.cost == "macs"), None),
        "score": history.score_name,
        "search_score": chosen[0].score if chosen else None,
        **({} if found is None else {"finalist_score": found.best.mean}),
        "evaluations": len(history.candidates),
        "random_mean_score": statistics.fmean(random) if random else None,
        "random_best_score": best_of(random) if random else None,
        "random_evaluations": len(random),
    }


def illustrate(work_dir: Path, test: Stage | None) -> None:
    """Draw the architecture, the search and detections, and write `report.html`.

    Args:
        work_dir: the experiment's.
        test: the stage that tested the network, where there is one.
    """
    try:
        from detnas.report.detections import DetectionSample, draw_detections
        from detnas.report.page import draw_search_pictures, write_report
    except ModuleNotFoundError as error:
        print(f"no pictures: {error.name} is missing (detnas[report] has it)", file=sys.stderr)
        return
    if test is not None and _is_detector(test):
        weights = work_dir / "retrain" / FINAL_WEIGHTS
        predictions, classes = predict(test.config, weights, images=8)
        samples = [DetectionSample(**vars(prediction)) for prediction in predictions]
        draw_detections(samples, work_dir / DETECTIONS_FILE, classes)
    best = work_dir / "search" / BEST_FILE
    if best.is_file():
        with replacing(work_dir / BEST_FILE) as temporary:
            temporary.write_bytes(best.read_bytes())
        draw_search_pictures(SearchHistory.read(work_dir / "search"), work_dir)
        write_report(work_dir)
