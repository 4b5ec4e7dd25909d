"""Time of a fine-tuning step of a detector on a supernet against the same one on a fixed backbone.

    python scripts/benchmark/finetuning_steps.py --kinds retinanet fpn [--batch 1]

The paper's configs on COCO with the small space: RetinaNet, and Faster R-CNN with FPN ("fpn"), on
random pixels with random boxes. A step is forward, losses, backward and SGD, on one random path,
the same on both sides in a round. Random weights; the fixed detectors begin with the supernet's.
Losses on the first path must be equal to the last digit before any step (on CUDA the difference is
printed). Ratios are to the fixed backbone, of the same round.
"""

import argparse
from typing import Any

import torch
from measured import add_common_options, interleaved, row_text, rows_of, start, write_json
from training_steps import (
    Path_,
    Step,
    against_fixed,
    detector_config,
    images,
    of_supernet,
    on_paths,
    random_paths,
    with_boxes,
)

from search_space.spaces import parse_space

CLASSES = 80


def main() -> None:
    """Measure both detectors, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--kinds", nargs="+", default=["retinanet", "fpn"], choices=["retinanet", "fpn"]
    )
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--boxes", type=int, default=7, help="per image; COCO has 7.3")
    add_common_options(parser, rounds=7)
    options = parser.parse_args()
    device = start(options)
    write_json(options, {kind: measure(kind, options, device) for kind in options.kinds})


def measure(kind: str, options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Compare the two of one kind."""
    space = parse_space("small")
    warm_up = 1
    paths: list[Path_] = random_paths(space, options.rounds + warm_up, options.seed)
    pixels = images(options.batch, options.height, options.width, options.seed, device)
    config = detector_config(kind)
    batch = with_boxes(pixels, CLASSES, options.boxes, options.seed)
    supernet = Step(config, batch, device)
    fixed_run, gap = against_fixed(config, supernet, space, paths, batch)
    sides = {"fixed backbone": fixed_run, "supernet": of_supernet(supernet)}
    runs = {name: on_paths(paths, 1, run) for name, run in sides.items()}
    print(
        f"{kind}: batch {options.batch}, {options.height}x{options.width}, losses differ by {gap}"
    )
    times = interleaved(runs, device, options.rounds, options.clock, warm_up=warm_up)
    rows = rows_of(list(sides), times)
    for row in rows:
        print(row_text(row), flush=True)
    return {"rows": rows, "times": times, "losses_differ_by": gap}


if __name__ == "__main__":
    main()
