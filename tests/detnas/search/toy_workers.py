"""A scorer that needs no model, built in workers, with faults on request.

A separate module, so that any process can import it by name.
"""

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detnas.errors import UserError
from search_space.architecture import Choices


def toy_score(choices: Choices) -> float:
    """Rewards one choice a block; many candidates tie."""
    return float(sum(choice == block % 4 for block, choice in enumerate(choices)))


def noisy_score(choices: Choices) -> float:
    """With all its digits."""
    return toy_score(choices) + float(np.sin(sum(choices)))


@dataclass(frozen=True)
class MakeToy:
    """Builds the scorer in a worker.

    Attributes:
        seconds: of every evaluation.
        faults: what happens in the evaluation of a candidate, by its choices: "raise", "nan",
            "memory", "kill", "hang", "spoil".
        once: a folder where the first time of each fault is marked, so that the next try succeeds;
            without one it happens every time.
        unlucky_sum: candidates whose choices' sum it divides raise, always; 0 for none.
        bad_worker: whether the first worker to start fails all candidates, at once.
        at_start: the same for building the scorer: "raise", "refuse", "kill", "hang".
    """

    seconds: float = 0.0
    faults: Mapping[Choices, str] = field(default_factory=dict)
    once: Path | None = None
    unlucky_sum: int = 0
    bad_worker: bool = False
    at_start: str = ""

    def __call__(self) -> "Toy":
        if self.at_start == "refuse":
            raise UserError("supernet_sha256 is a on this worker and b at the coordinator")
        if self.at_start and not self._happened("start"):
            happen(self.at_start)
        return Toy(self, bad=self.bad_worker and not self._happened("bad"))

    def _happened(self, what: str) -> bool:
        """Whether it has happened before, and note that it has now."""
        if self.once is None:
            return False
        try:
            (self.once / what).touch(exist_ok=False)
        except FileExistsError:
            return True
        return False

    def score(self, choices: Choices) -> float:
        """Of one candidate, or its fault."""
        time.sleep(self.seconds)
        if self.unlucky_sum and sum(choices) % self.unlucky_sum == 0:
            happen("raise")
        fault = self.faults.get(choices, "")
        if fault and not self._happened(",".join(map(str, choices))):
            happen(fault)
            return float("nan")
        return noisy_score(choices)


@dataclass(frozen=True)
class Toy:
    """The scorer."""

    make: MakeToy
    bad: bool = False
    notes: tuple[str, ...] = ("a toy",)

    def __call__(self, choices: Choices) -> dict[str, float]:
        if self.bad:
            raise RuntimeError("out of GPU memory")
        launched = float("LOCAL_RANK" in os.environ)
        return {
            "score": self.make.score(tuple(choices)),
            "pid": os.getpid(),
            "launched": launched,
        }


class AcceleratorError(RuntimeError):
    """Named as torch names an error of CUDA after which the process is of no more use."""


def happen(fault: str) -> None:
    """Let a fault happen; "nan" is the caller's to return."""
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "hang":
        time.sleep(3600)
    elif fault == "memory":
        raise MemoryError("tried to allocate 7 TiB")
    elif fault == "raise":
        raise RuntimeError("unlucky")
    elif fault == "spoil":
        raise AcceleratorError("device-side assert triggered")
