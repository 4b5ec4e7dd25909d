"""Writes scenes of handwritten digits: those of the benchmark, or other counts and heights.

python scripts/data/write_digits.py work_dirs/benchmark/data
python scripts/data/write_digits.py DIR --train 600 --search 120 --val 150 --heights 16 64

The folder gets `detection/` (COCO files and images) and `classification/` (8,000 crops for
pretraining). An experiment of `configs/` looks for it at `work_dirs/EXPERIMENT/data`.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from detnas.data.digits import BENCHMARK_COUNTS, BENCHMARK_HEIGHTS, write_digits
from detnas.errors import UserError


def main() -> None:
    """Parse and write."""
    counts = BENCHMARK_COUNTS
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="appears complete or not at all")
    parser.add_argument("--train", type=int, default=counts.train_scenes, help="scenes")
    parser.add_argument("--search", type=int, default=counts.search_scenes, help="scenes")
    parser.add_argument("--val", type=int, default=counts.val_scenes, help="scenes")
    parser.add_argument("--heights", type=float, nargs=2, default=BENCHMARK_HEIGHTS, metavar="PX")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts = replace(
        counts,
        train_scenes=options.train,
        search_scenes=options.search,
        val_scenes=options.val,
    )
    smallest, largest = options.heights
    try:
        write_digits(options.folder, options.seed, counts, (smallest, largest))
    except UserError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
