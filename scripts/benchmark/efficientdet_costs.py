"""Multiply-adds and parameters of EfficientDet D0 to D7x beside the paper's, as a table.

    python scripts/benchmark/efficientdet_costs.py

Counted are convolutions and linear layers, by our counter and by torch's. The paper's numbers are
reached when every activation counts one more, as several counters do: 134.1 G for D5, which is what
such a counter gives for the public PyTorch port (the paper says 130).
"""

import argparse
from pathlib import Path

import detnas.models  # noqa: F401 - registers them
from detnas.config import load_config
from detnas.evaluation.complexity import complexity
from search_space.compound_scaling import MODELS

CONFIGS = Path(__file__).parents[2] / "configs/efficientdet"
PUBLISHED = {
    "d0": (3.9, 2.54),
    "d1": (6.6, 6.10),
    "d2": (8.1, 11.0),
    "d3": (12.0, 24.9),
    "d4": (20.7, 55.2),
    "d5": (33.7, 134.1),
    "d6": (51.9, 226),
    "d7": (51.9, 325),
    "d7x": (77.0, 410),
}
"""Millions of parameters, and billions of multiply-adds (Tan et al., CVPR 2020)."""


def main() -> None:
    """Count and print."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print("| | parameters | paper | multiply-adds | by torch | with activations | paper | |")
    print("|---|---|---|---|---|---|---|---|")
    for name in MODELS:
        (found,) = complexity(load_config(CONFIGS / f"efficientdet_{name}_coco.py"))
        params, macs = (sum(part.values()) for part in (found.params, found.macs))
        total = macs + found.activated
        millions, billions = PUBLISHED[name]
        cells = [
            name.upper(),
            f"{params / 1e6:.2f} M",
            f"{millions} M",
            f"{macs / 1e9:.2f} G",
            f"{found.torch_macs / 1e9:.2f} G",
            f"{total / 1e9:.2f} G",
            f"{billions} G",
            f"{total / 1e9 / billions - 1:+.1%}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
