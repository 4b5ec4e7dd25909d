"""What a finished experiment leaves: the content of `summary.json`, the pictures, the page."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from detnas.evaluation.complexity import detector_macs
from detnas.evaluation.error_analysis import SCORE_THRESHOLD, shown_image
from detnas.evaluation.evaluator import Prediction, load_tested, predict
from detnas.files import replacing
from detnas.report.folder import DETECTIONS_FILE
from detnas.search.against_random import mean_score, random_scores
from detnas.search.compared import read_comparison
from detnas.search.compared_text import verdict
from detnas.search.finalists import read_finalists
from detnas.search.history.reading import SearchHistory
from detnas.search.results import BEST_FILE
from detnas.search.shown_images import SHOWN_FILE, ShownImages
from detnas.search.trained import read_trained
from detnas.stages.base import Stage
from detnas.stages.test import METRICS_FILE
from detnas.training.hooks import FINAL_WEIGHTS
from search_space.architecture import Architecture, macs, params
from search_space.cost import DEFAULT_INPUT_SIZE

Tested = tuple[Any, Any]
"""A detector and the data set that it was tested on, as `load_tested` returns them."""


def tested_detector(work_dir: Path, test: Stage | None) -> Tested | None:
    """The retrained network of an experiment; None where none was tested, and for a classifier."""
    if test is None or test.is_classifier:
        return None
    return load_tested(test.config, work_dir / "retrain" / FINAL_WEIGHTS)


def summarise(
    work_dir: Path, seconds: Mapping[str, float], detector: Tested | None
) -> dict[str, Any]:
    """The outcome of an experiment's stages, as JSON values.

    Args:
        work_dir: the experiment's.
        seconds: that each stage took.
        detector: from `tested_detector`.
    """
    summary: dict[str, Any] = {"seconds": sum(seconds.values()), "stage_seconds": dict(seconds)}
    if "search" in seconds:
        summary |= _search_summary(SearchHistory.read(work_dir / "search"))
    if "test" in seconds:
        metrics = json.loads((work_dir / "test" / METRICS_FILE).read_text(encoding="utf-8"))
        summary["test_metrics"] = metrics
        if "coco/bbox_mAP" in metrics:
            summary["retrained_bbox_mAP"] = metrics["coco/bbox_mAP"]
    if "compare" in seconds and (compared := read_comparison(work_dir / "compare")) is not None:
        plain = msgspec.to_builtins(compared)
        left_out = ("format", "version")
        summary["comparison"] = {key: plain[key] for key in plain if key not in left_out}
        summary["comparison"]["verdict"] = list(verdict(compared))
    if detector is not None:
        count, size = detector_macs(*detector)
        summary |= {"detector_macs": count, "detector_input_size": size}
    return summary


def _search_summary(history: SearchHistory) -> dict[str, Any]:
    architecture = Architecture.load(history.path.parent / BEST_FILE)
    chosen = [row for row in history.candidates if row.choices == architecture.choices]
    found, trained = read_finalists(history.path.parent), read_trained(history)
    of_trained = (
        {}
        if trained is None
        else {"trained_score": trained.best.score, "trained_candidates": trained.count}
    )
    random = random_scores(history)
    budget = history.macs_budget
    size = DEFAULT_INPUT_SIZE if budget is None else budget.input_size
    return {
        "space": architecture.space.name,
        "best_choices": list(architecture.choices),
        "best_macs": macs(architecture, size),
        "macs_input_size": list(size[1:]),
        "best_params": params(architecture),
        "budget_macs": None if budget is None else budget.upper,
        "score": history.score_name,
        "search_score": chosen[0].score if chosen else None,
        **({} if found is None else {"finalist_score": found.best.mean}),
        **of_trained,
        "evaluations": len(history.candidates),
        "random_mean_score": mean_score(random) if random else None,
        "random_best_score": random[0] if random else None,
        "random_evaluations": len(random),
    }


def _shown(predictions: Sequence[Prediction], classes: Sequence[str]) -> ShownImages:
    """The detections that the page shows, without those of low scores."""
    images = []
    for each in predictions:
        kept = each.scores >= SCORE_THRESHOLD
        shown = shown_image(
            each.image,
            boxes=each.boxes[kept],
            labels=each.labels[kept],
            scores=each.scores[kept],
            truth_boxes=each.truth_boxes,
            truth_labels=each.truth_labels,
        )
        images.append(shown)
    return ShownImages(tuple(classes), SCORE_THRESHOLD, tuple(images))


def illustrate(work_dir: Path, detector: Tested | None) -> None:
    """Draw the architecture, the search and detections, and write `report.html`.

    Args:
        work_dir: the experiment's.
        detector: from `tested_detector`.
    """
    try:
        from detnas.report.detections import DetectionSample, draw_detections
        from detnas.report.page import draw_search_pictures, write_report
    except ModuleNotFoundError as error:
        print(f"no pictures: {error.name} is missing (detnas[report] has it)", file=sys.stderr)
        return
    if detector is not None:
        predictions, classes = predict(*detector, images=8)
        samples = [DetectionSample(**vars(prediction)) for prediction in predictions]
        draw_detections(samples, work_dir / DETECTIONS_FILE, classes)
        _shown(predictions, classes).save(work_dir / SHOWN_FILE)
    best = work_dir / "search" / BEST_FILE
    if best.is_file():
        with replacing(work_dir / BEST_FILE) as temporary:
            temporary.write_bytes(best.read_bytes())
        draw_search_pictures(SearchHistory.read(work_dir / "search"), work_dir)
        write_report(work_dir)
