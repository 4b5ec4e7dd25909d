"""Trains supernets by several recipes, and scores the architectures of a table on each.

    python scripts/benchmark/supernet_variants.py --work-dir work_dirs/variants \\
        --table benchmarks/digits.csv --variants base finetune2 --seeds 0 1 2 --workers 2

Every score becomes a column "supernet/<variant>/seed<n>" of the table, which has the scores of the
same networks trained on their own. Data are written on the first run. Supernets and scores resume.
`--report` prints the agreement of each variant's seeds, and its fidelity, from the table alone.
"""

import argparse
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cropped_scenes import write_cropped

from detnas.console import print_trainings
from detnas.data.digits import BENCHMARK_COUNTS, BENCHMARK_HEIGHTS, write_digits
from detnas.errors import UserError
from detnas.fidelity.comparison import TRAINED, estimate_text
from detnas.fidelity.correlation import Bootstrap
from detnas.fidelity.statistics import measure_fidelity
from detnas.fidelity.table import Table
from detnas.fidelity.table_file import read_table, write_table
from detnas.search.executors.build import Machine, build_executor
from detnas.search.executors.settings import ExecutorSettings
from detnas.search.history.file import FILE_NAME
from detnas.stages.candidate_worker import MakeCandidateEvaluator
from detnas.stages.experiment import Experiment, run_experiment
from detnas.stages.listed import evaluate_into
from detnas.stages.plan import plan_search
from search_space.architecture import Choices

CONFIGS = Path(__file__).parents[2] / "configs" / "benchmark"


@dataclass(frozen=True)
class Variant:
    """Overrides of the benchmark's configs, by stage.

    A variant starts from the pretraining of the first one with the same overrides of it, "base"
    without any; one with overrides of the search alone takes all weights of "base". `cropped`
    scores it on images of many sizes.
    """

    about: str
    pretrain: Mapping[str, Any] = field(default_factory=dict)
    finetune: Mapping[str, Any] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)
    cropped: bool = False


FAIR = {"path_policy.type": "fair"}
STRICT = {"path_policy.type": "strictly_fair"}
IN_BAND = {"path_policy.budgets": [{"cost": "macs", "lower": 34e6, "upper": 36e6}]}
WARM_UP = 700
"""Iterations of the pretraining's warm-up."""

NORMS_AFTER_WARMUP = {"batch_norm_only": {"begin": WARM_UP}}
NORMS = {"batch_norm_only": {"begin": 0}}
ADAMW = {"_delete_": True, "type": "AdamW", "lr": 0.002, "weight_decay": 0.05}
VARIANTS = {
    "base": Variant("the recipe of configs/benchmark"),
    "finetune2": Variant("twice the fine-tuning", finetune={"max_iters": 1800}),
    "finetune4": Variant("four times the fine-tuning", finetune={"max_iters": 3600}),
    "adamw": Variant("fine-tuning by AdamW", finetune={"optim_wrapper.optimizer": ADAMW}),
    "pretrain2": Variant("twice the pretraining", pretrain={"max_iters": 4000}),
    "pretrain4": Variant("four times the pretraining", pretrain={"max_iters": 8000}),
    "pretrain-half": Variant("half the pretraining", pretrain={"max_iters": 1000}),
    "bn-pretrain": Variant(
        "pretraining of batch norm alone after the warm-up", pretrain=NORMS_AFTER_WARMUP
    ),
    "bn-finetune": Variant("fine-tuning of the backbone's batch norm alone", finetune=NORMS),
    "bn-both": Variant(
        "batch norm alone, in pretraining after the warm-up and in fine-tuning",
        pretrain=NORMS_AFTER_WARMUP,
        finetune=NORMS,
    ),
    "small-images": Variant(
        "pretraining of half-size images up to iteration 1,000",
        pretrain={"small_images": {"until": 1000}},
    ),
    "no-warmup": Variant("random paths from the start", pretrain={"path_warmup_iters": 0}),
    "warmup-250": Variant("a short warm-up", pretrain={"path_warmup_iters": 250}),
    "warmup-1400": Variant("a long warm-up", pretrain={"path_warmup_iters": 1400}),
    "fair": Variant("fair paths, one a step", pretrain=FAIR, finetune=FAIR),
    "strictly-fair": Variant(
        "fair paths, gradients of five summed, at equal cost",
        pretrain={**STRICT, "max_iters": 960},  # the warm-up takes 700
        finetune={**STRICT, "max_iters": 180},
    ),
    "band-paths": Variant("fine-tuning of paths of 34M to 36M multiply-adds", finetune=IN_BAND),
    **{
        f"calibration-{images}": Variant(
            f"batch norm of {images} images",
            search={"search.evaluator.calibration_images": images},
        )
        for images in (0, 50, 500)
    },
    **{
        f"sizes-{shapes}": Variant(
            f"images of many sizes, {shapes} shapes in a batch",
            search={"search.evaluator.batch_shapes": shapes},
            cropped=True,
        )
        for shapes in ("equal", "mixed")
    },
}


def main() -> None:
    """Run or report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, required=True, help="of `detnas fidelity`")
    parser.add_argument("--work-dir", type=Path, help="of the supernets")
    parser.add_argument("--variants", nargs="+", default=["base"], choices=VARIANTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=2, help="supernets at a time")
    parser.add_argument("--report", action="store_true", help="only print what the table holds")
    options = parser.parse_args()
    if options.report:
        report(options.table)
        return
    if options.work_dir is None:
        raise SystemExit("--work-dir is needed to train supernets")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    data = options.work_dir / "data"
    write_digits(data, counts=BENCHMARK_COUNTS, heights=BENCHMARK_HEIGHTS)
    if any(VARIANTS[name].cropped for name in options.variants):
        write_cropped(data / "detection", cropped_in(data))
    listed = read_table(options.table).architectures
    jobs = [(name, seed) for name in options.variants for seed in options.seeds]
    begun = dict.fromkeys((pretrained_by(name), seed) for name, seed in jobs)
    with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        for done in [pool.submit(pretrain, *job, options.work_dir, data) for job in begun]:
            done.result()
        futures = {
            job: pool.submit(score_variant, *job, options.work_dir, data, listed) for job in jobs
        }
        for (name, seed), future in futures.items():
            scores = future.result()
            table = read_table(options.table)  # another run may have added columns
            write_table(table.with_column(f"supernet/{name}/seed{seed}", scores), options.table)
            print(f"{name}, seed {seed}: {len(scores)} scores", flush=True)
    report(options.table)


def pretrained_by(name: str) -> str:
    """The variant whose pretraining a variant starts from: the first with the same."""
    own = VARIANTS[name].pretrain
    return next(other for other, variant in VARIANTS.items() if variant.pretrain == own)


def cropped_in(data: Path) -> Path:
    """Where the scenes of many sizes are, beside the data."""
    return data.with_name("data-cropped") / "detection"


def overrides_of(data: Path, stage: Mapping[str, Any]) -> dict[str, Any]:
    """What a stage's config takes: where the data is, and what the variant changes."""
    return {
        "data_root": str((data / "detection").resolve()),
        "pretrain_root": str((data / "classification").resolve()),
        **stage,
    }


def pretrain(name: str, seed: int, work_dir: Path, data: Path) -> None:
    """Pretrain a supernet, unless it is finished."""
    torch.set_num_threads(1)
    overrides = overrides_of(data, VARIANTS[name].pretrain)
    folder = work_dir / name / f"seed{seed}"
    run_experiment(Experiment(CONFIGS, folder, overrides, seed), ["pretrain"], quiet=True)


def score_variant(
    name: str, seed: int, work_dir: Path, data: Path, listed: tuple[Choices, ...]
) -> dict[Choices, float | None]:
    """Fine-tune one supernet, unless it is finished, and score the architectures on it."""
    torch.set_num_threads(1)
    variant = VARIANTS[name]
    owner = name if variant.pretrain or variant.finetune else "base"
    folder = work_dir / owner / f"seed{seed}"
    overrides = overrides_of(data, VARIANTS[owner].finetune)
    if pretrained_by(name) != owner:
        weights = work_dir / pretrained_by(name) / f"seed{seed}" / "pretrain" / "final.pth"
        overrides["pretrained"] = str(weights)
    run_experiment(Experiment(CONFIGS, folder, overrides, seed), ["finetune"], quiet=True)
    shared = overrides_of(data, {})
    overrides = {**shared, "search.evaluator.threads": 1, **variant.search}
    if variant.cropped:
        overrides["data_root"] = str(cropped_in(data).resolve())
    plan = plan_search(Experiment(CONFIGS, folder, overrides, 0).stage("search").config)
    make = MakeCandidateEvaluator.of_plan(plan)
    history = evaluate_into(
        folder / f"scores-{name}" / FILE_NAME,
        {**plan.fingerprint, "strategy": {"type": "listed"}, "budgets": []},
        listed,
        lambda: build_executor(ExecutorSettings(), make, plan.settings.score, Machine(0, 1)),
        plan.costs,
        print_trainings(f"{name} seed {seed}"),
    )
    return {row.choices: row.score for row in history.rows}


def report(file: Path) -> None:
    """Print each variant's mean score, the agreement of its seeds, and its fidelity.

    "minus base" is the tau with the trained networks less that of "base" on the same seeds.
    """
    table = read_table(file)
    names = list(dict.fromkeys(name.rpartition("/")[0] for name in table.names("supernet")))
    groups = {"all": table, **{name: table.subset(name) for name in dict.fromkeys(table.groups)}}
    print(f"{'variant':<24}{'rows':<8}{'seeds':>5}  {'mean score':<12}", end="")
    print(f"{'tau between seeds':<24}{'tau with trained':<24}{'beyond MACs':<24}", end="")
    print(f"{'rho with trained':<24}minus base")
    for name in names:
        for group, part in groups.items():
            proxy = part.columns(name)
            label = name.removeprefix("supernet/")
            _print_row(label, group, proxy, part, _minus_base(part, name))
            if proxy.shape[1] > 1:
                _print_row(f"{label}, averaged", group, proxy.mean(axis=1, keepdims=True), part)


def _print_row(label: str, group: str, proxy: np.ndarray, table: Table, minus: str = "") -> None:
    try:
        found = measure_fidelity(proxy, table.columns(TRAINED), table.costs)
    except UserError as error:
        print(f"{label:<24}{group:<8}{error}")
        return
    agreement = "" if found.agreement is None else estimate_text(found.agreement.tau)
    beyond = estimate_text(found.costs["macs"].beyond.tau)
    print(
        f"{label:<24}{group:<8}{found.proxies:>5}  {float(np.nanmean(proxy)):<12.4f}{agreement:<24}"
        f"{estimate_text(found.proxy.tau):<24}{beyond:<24}{estimate_text(found.proxy.rho):<24}{minus}"
    )


def _minus_base(table: Table, name: str) -> str:
    """The difference of tau to "base" on the same seeds, of rows that have all scores."""
    pairs = [(own, f"supernet/base/{own.rpartition('/')[2]}") for own in table.names(name)]
    pairs = [pair for pair in pairs if pair[1] in table.scores]
    truth = table.columns(TRAINED)
    if name == "supernet/base" or not pairs:
        return ""
    sides = [
        np.stack([table.column(each) for each in side], axis=1) for side in zip(*pairs, strict=True)
    ]
    kept = np.isfinite(np.hstack([truth, *sides])).all(axis=1)
    bootstrap = Bootstrap(int(kept.sum()), 2000, 0)
    mean = truth[kept].mean(axis=1)
    own, other = (
        bootstrap.mean_correlation([(column, mean) for column in side[kept].T]) for side in sides
    )
    return estimate_text((own - other).summary(0.95).tau)


if __name__ == "__main__":
    main()
