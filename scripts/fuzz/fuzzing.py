"""What the programs of this folder share: cases from a seed, outcomes counted, findings printed."""

import argparse
import contextlib
import resource
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detnas.errors import UserError


@dataclass
class Outcomes:
    """Counts outcomes; what should not be is printed at once and fails the program."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: int = 0

    def add(self, outcome: str) -> None:
        """Count an outcome that is right."""
        self.counts[outcome] += 1

    def find(self, case: object, problem: str) -> None:
        """Print what went wrong in a case."""
        self.findings += 1
        print(f"FOUND in case {case}: {problem}", flush=True)

    @contextlib.contextmanager
    def case(self, case: object) -> Iterator[None]:
        """A case that may end in a UserError, and in no other error."""
        try:
            yield
        except UserError:
            self.add("refused")
        except Exception:
            self.find(case, traceback.format_exc())

    def finish(self) -> None:
        """Print the counts; exit with 1 if anything was found."""
        print("; ".join(f"{outcome}: {count}" for outcome, count in sorted(self.counts.items())))
        raise SystemExit(1 if self.findings else 0)


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise TimeoutError after so many seconds."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"no end within {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def limit_memory(more: int = 4 << 30) -> None:
    """Let this process have so many bytes more than it has."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more, resource.RLIM_INFINITY))


def flip_bit(content: bytes, generator: np.random.Generator) -> tuple[bytes, int]:
    """The content with one bit flipped, and the bit's position."""
    position = int(generator.integers(len(content) * 8))
    flipped = bytearray(content)
    flipped[position // 8] ^= 1 << position % 8
    return bytes(flipped), position


def run_cases(about: str, run: Callable[[int, int, Outcomes], None]) -> None:
    """Read --cases and --seed, run, and report."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    outcomes = Outcomes()
    run(options.cases, options.seed, outcomes)
    outcomes.finish()
