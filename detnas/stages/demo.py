"""`detnas demo`: the whole method on embedded data, with a table and pictures at the end."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detnas.console import duration, table
from detnas.data.digits import BENCHMARK_HEIGHTS, write_digits
from detnas.errors import MissingFileError
from detnas.stages.experiment import Experiment, run_experiment

CONFIGS = Path(__file__).parents[2] / "configs" / "demo"


def run_demo(work_dir: Path, overrides: Mapping[str, Any], seed: int | None = None) -> None:
    """Write the data, run the five stages, print the table; the pictures are the experiment's.

    Raises:
        MissingFileError: DetNAS was installed without its repository's configs.
    """
    if not CONFIGS.is_dir():
        raise MissingFileError(f"{CONFIGS} does not exist: run the demo from a checkout of DetNAS")
    write_digits(work_dir / "data", heights=BENCHMARK_HEIGHTS)
    summary = run_experiment(Experiment(CONFIGS, work_dir, overrides, seed), quiet=True)
    assert summary is not None, "without a choice of stages all of them are finished"
    print(demo_table(summary))
    for path in sorted(
        [*work_dir.glob("*.png"), *work_dir.glob("*.json"), *work_dir.glob("*.html")]
    ):
        print(f"  written: {path}")


def demo_table(summary: Mapping[str, Any]) -> str:
    """What the demo found, in two columns."""
    choices = ",".join(map(str, summary["best_choices"]))
    return table(
        [
            ("best architecture", f"{summary['space']}:{choices}"),
            ("its MACs", f"{summary['best_macs']:,} of {_budget(summary)}"),
            ("its search score (mAP)", f"{summary['search_score']:.4f}"),
            ("random in the same budget", _random(summary)),
            ("val mAP after retraining", f"{summary['retrained_bbox_mAP']:.4f}"),
            ("time of the five stages", duration(summary["seconds"])),
        ]
    )


def _budget(summary: Mapping[str, Any]) -> str:
    budget = summary["budget_macs"]
    return "no budget" if budget is None else f"a budget of {budget:,.0f}"


def _random(summary: Mapping[str, Any]) -> str:
    if not summary["random_evaluations"]:
        return "none scored"
    return (
        f"mean {summary['random_mean_score']:.4f}, best {summary['random_best_score']:.4f} "
        f"of {summary['random_evaluations']}"
    )
