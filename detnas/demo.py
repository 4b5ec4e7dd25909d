"""`detnas demo`: the whole method on embedded data, with a table and pictures at the end."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detnas.console import duration, table
from detnas.data.digits import write_digits
from detnas.evaluation.predict import predict
from detnas.pipeline import Experiment, run_experiment
from detnas.report.architecture import draw_architecture
from detnas.report.curves import draw_cost_scatter, draw_search
from detnas.report.detections import DetectionSample, draw_detections
from detnas.report.page import write_report
from detnas.search.history import FILE_NAME
from detnas.search.records import read_fingerprint, read_history
from detnas.training.hooks import FINAL_WEIGHTS
from search_space.architecture import Architecture

CONFIGS = Path(__file__).parent.parent / "configs" / "demo"


def run_demo(work_dir: Path, overrides: Mapping[str, Any], seed: int | None = None) -> None:
    """Write the data, run the five stages, draw the pictures, print the table.

    Raises:
        FileNotFoundError: DetNAS was installed without its repository's configs.
    """
    if not CONFIGS.is_dir():
        raise FileNotFoundError(f"{CONFIGS} does not exist: run the demo from a checkout of DetNAS")
    write_digits(work_dir / "data")
    summary = run_experiment(CONFIGS, work_dir, overrides, seed, quiet=True)
    shutil.copy(work_dir / "search" / "best_architecture.json", work_dir)
    pictures = draw_pictures(Experiment(CONFIGS, work_dir, overrides, seed, quiet=True))
    write_report(work_dir)
    print(demo_table(summary))
    print("\n".join(f"  written: {path}" for path in [*pictures, work_dir / "report.html"]))


def draw_pictures(experiment: Experiment) -> list[Path]:
    """Architecture, score against evaluations and MACs, detections on images of the test split."""
    folder, history = experiment.work_dir, experiment.work_dir / "search" / FILE_NAME
    score = read_fingerprint(history)["score"]
    rows = read_history(history)
    paths = [folder / f"{name}.png" for name in ("architecture", "search", "costs", "detections")]
    draw_architecture(Architecture.load(folder / "search" / "best_architecture.json"), paths[0])
    draw_search(rows, paths[1], score_name=score)
    draw_cost_scatter(rows, paths[2], score_name=score)
    predictions, classes = predict(
        experiment.config("test"), folder / "retrain" / FINAL_WEIGHTS, images=8
    )
    samples = [DetectionSample(**vars(prediction)) for prediction in predictions]
    draw_detections(samples, paths[3], classes)
    return paths


def demo_table(summary: Mapping[str, Any]) -> str:
    """What the demo found, in two columns."""
    choices = ",".join(map(str, summary["best_choices"]))
    return table(
        [
            ("best architecture", f"tiny:{choices}"),
            ("its MACs, the budget", f"{summary['best_macs']:,}, {summary['budget_macs']:,.0f}"),
            ("its search score (mAP)", f"{summary['search_score']:.4f}"),
            ("random in the same budget", _random(summary)),
            ("val mAP after retraining", f"{summary['retrained_bbox_mAP']:.4f}"),
            ("time of the five stages", duration(summary["seconds"])),
        ]
    )


def _random(summary: Mapping[str, Any]) -> str:
    return (
        f"mean {summary['random_mean_score']:.4f}, best {summary['random_best_score']:.4f} "
        f"of {summary['random_evaluations']}"
    )
