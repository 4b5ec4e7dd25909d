"""Flips a bit of a checkpoint: it is refused, or read as if nothing had been.

    python scripts/fuzz/flip_checkpoint.py [--cases 400] [--seed 0]

A bit may lie in what nobody reads: padding, or the copy of a name.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from fuzzing import Outcomes, flip_bit, limited, run_cases

from detnas.models import DetNASNet
from detnas.models.checkpoints import read_checkpoint

LIMIT_S = 20


def run(cases: int, seed: int, outcomes: Outcomes) -> None:
    """Save one, then damage a copy in each case."""
    generator = np.random.default_rng(seed)
    with TemporaryDirectory() as temporary:
        whole, damaged = Path(temporary) / "whole.pth", Path(temporary) / "damaged.pth"
        network = DetNASNet("tiny:0,1,2,3,0,1,2,3,0,1")
        torch.save({"state_dict": network.state_dict(), "meta": {"epoch": 3}}, whole)
        content, expected = whole.read_bytes(), read_checkpoint(whole)
        for case in range(cases):
            flipped, bit = flip_bit(content, generator)
            damaged.write_bytes(flipped)
            with outcomes.case(f"{case} (bit {bit})"), limited(LIMIT_S):
                found = read_checkpoint(damaged)
                if not _same(found, expected):
                    outcomes.find(case, f"bit {bit} changed what is read")
                outcomes.add("read as before")


def _same(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    ours, theirs = found["state_dict"], expected["state_dict"]
    same = found.keys() == expected.keys() and found["meta"] == expected["meta"]
    same = same and ours.keys() == theirs.keys()
    return same and all(torch.equal(ours[name], theirs[name]) for name in theirs)


if __name__ == "__main__":
    run_cases(__doc__, run)
