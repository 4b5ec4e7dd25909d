"""Accuracy of a supernet after a short pretraining, with and without warm-up of one path.

    python scripts/benchmark/supernet_warmup.py [--seeds 0 1 2] [--work-dir DIR]

Runs the demo's pretraining for several seeds, with `warmup_iters` as configured and with 0. Prints
the accuracy of random paths on held-out crops, with recalibrated batch norm: mean and all seeds.
"""

import argparse
import statistics
import warnings
from pathlib import Path

import numpy as np

from detnas.config import load_config
from detnas.data.digits import write_digits
from detnas.stages.test import score_checkpoint
from detnas.stages.train import train

PATHS = 5
CONFIG = Path(__file__).parents[2] / "configs" / "demo" / "pretrain.py"


def accuracy(work_dir: Path, seed: int, warm: bool) -> float:
    """Mean top-1 accuracy in percent of random paths after one pretraining."""
    folder = work_dir / f"{'warm' if warm else 'cold'}_{seed}"
    options = {"console_level": "ERROR", "pretrain_root": f"{work_dir}/data/classification"}
    config = load_config(CONFIG, options, folder / "pretrain", seed)
    if not warm:
        config.custom_hooks = [{"type": "PathSamplingHook"}]
    weights = train(config)
    paths = np.random.default_rng(0).integers(0, 4, (PATHS, 10)).tolist()
    return statistics.fmean(
        score_checkpoint(config, weights, path)["accuracy/top1"] for path in paths
    )


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/benchmark/warmup"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    write_digits(options.work_dir / "data")
    for warm in (True, False):
        scores = [accuracy(options.work_dir, seed, warm) for seed in options.seeds]
        print(
            f"{'with' if warm else 'without'} warm-up: top-1 of {PATHS} random paths "
            f"{statistics.fmean(scores):.1f} % (seeds {options.seeds}: "
            f"{', '.join(f'{score:.1f}' for score in scores)})",
            flush=True,
        )


if __name__ == "__main__":
    main()
