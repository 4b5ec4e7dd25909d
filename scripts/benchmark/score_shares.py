"""Scores architectures on nested shares of the search split: the table that racing is tried on.

    python scripts/benchmark/score_shares.py --supernet work_dirs/variants/base/seed0 \\
        --data work_dirs/variants/data --table benchmarks/digits_shares.csv --architectures 300

The architectures are uniform draws within the budget of configs/benchmark's search. Each is scored
once on the whole split of the benchmark's fine-tuned supernet, as a search does; the score on a
share is computed from the detections of its images. Columns are "whole" and "order<n>/<share>",
for several permutations of the split. Resumes, in SUPERNET/shares.
"""

import argparse
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.registry import METRICS
from supernet_variants import CONFIGS, overrides_of

from detnas.console import print_trainings
from detnas.evaluation.metrics import UnroundedCocoMetric
from detnas.fidelity.table import SPACE_GROUP, Table
from detnas.fidelity.table_file import write_table
from detnas.search.executors.build import Machine, build_executor
from detnas.search.executors.settings import ExecutorSettings
from detnas.search.history.file import FILE_NAME
from detnas.search.history.reading import SearchHistory
from detnas.search.racing import share_images
from detnas.search.strategies.unseen import Unseen
from detnas.stages.candidate_worker import MakeCandidateEvaluator
from detnas.stages.experiment import Experiment
from detnas.stages.listed import evaluate_into
from detnas.stages.plan import SearchPlan, plan_search

SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
ORDERS = 5
COLUMNS = {f"order{order}/{share:g}": (order, share) for order in range(ORDERS) for share in SHARES}


@METRICS.register_module()
class SharesCocoMetric(UnroundedCocoMetric):
    """The COCO metrics of the whole split, and the mAP on every share, as "coco/<column>"."""

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """See `UnroundedCocoMetric`; results are in the order of the split."""
        whole = super().compute_metrics(results)
        orders = [share_images(len(results), SHARES, order) for order in range(ORDERS)]
        for column, (order, share) in COLUMNS.items():
            part = [results[place] for place in orders[order][SHARES.index(share)]]
            metric = copy(self)
            metric.img_ids = [predicted["img_id"] for _, predicted in part]
            whole[column] = UnroundedCocoMetric.compute_metrics(metric, part)["bbox_mAP"]
        return whole


def main() -> None:
    """Score what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--supernet", type=Path, required=True, help="folder with finetune/")
    parser.add_argument("--data", type=Path, required=True, help="of supernet_variants.py")
    parser.add_argument("--table", type=Path, required=True, help="CSV to write")
    parser.add_argument("--architectures", type=int, default=300)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--history", type=Path, help="folder of the scores; SUPERNET/shares")
    parser.add_argument("--date", default="", help="recorded in the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    overrides = overrides_of(
        options.data, {"search.evaluator.threads": 1, "val_evaluator.type": "SharesCocoMetric"}
    )
    plan = plan_search(Experiment(CONFIGS, options.supernet, overrides, 0).stage("search").config)
    folder = options.history or options.supernet / "shares"
    history = score(plan, folder, options.architectures, options.workers)
    table = table_of(history, {"date": options.date, "configs": "configs/benchmark"})
    write_table(table, options.table)
    print(f"{options.table}: {len(table.architectures)} architectures")


def score(plan: SearchPlan, folder: Path, count: int, workers: int) -> SearchHistory:
    """The history with the scores of the first `count` draws."""
    drawn = Unseen(plan.costs.sampler).draw(np.random.default_rng(0), count)
    make = MakeCandidateEvaluator.of_plan(plan)
    where = ExecutorSettings() if workers == 1 else ExecutorSettings("processes", workers=workers)
    return evaluate_into(
        folder / FILE_NAME,
        {**plan.fingerprint, "strategy": {"type": "listed"}},
        drawn,
        lambda: build_executor(where, make, plan.settings.score, Machine(0, 1)),
        plan.costs,
        print_trainings("shares"),
    )


def table_of(history: SearchHistory, about: dict[str, Any]) -> Table:
    """The table of the rows that have a score."""
    rows = [row for row in history.rows if row.score is not None]
    columns = {name: tuple(row.metrics[f"coco/{name}"] for row in rows) for name in COLUMNS}
    seconds = [row.finished - row.started for row in rows if row.started and row.finished]
    return Table(
        history.space,
        tuple(row.choices for row in rows),
        (SPACE_GROUP,) * len(rows),
        {"whole": tuple(row.score for row in rows), **columns},
        about={
            "metric": history.score_name,
            "images": 1000,
            "calibration_images": 200,
            "seconds": round(float(np.median(seconds)), 2),
            "command": "scripts/benchmark/score_shares.py",
            **about,
        },
    )


if __name__ == "__main__":
    main()
