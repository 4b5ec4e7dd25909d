"""Flips a bit of a search's history: it is refused, or the search goes on as if nothing had been.

    python scripts/fuzz/flip_history.py [--cases 400] [--seed 0]

Half of the cases damage the history of a search that stopped, half the log that a killed one left.
A damaged log may lose its last results, which the resumed search finds again.
"""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from fuzzing import Outcomes, flip_bit, run_cases

from detnas.search.costs import CandidateCosts
from detnas.search.executors.local import LocalExecutor
from detnas.search.history.reading import SearchHistory
from detnas.search.history.writer import History
from detnas.search.loop import run_search
from detnas.search.strategies.evolution import EvolutionSettings
from search_space.budget import Budget
from search_space.sampling import BudgetSampler
from search_space.spaces import get_space

SETTINGS = EvolutionSettings(generations=4, population=6, parents=3, mutations=2, crossovers=2)
RECORDED = {
    "space": "tiny",
    "channel_shuffle": "even_odd",
    "score": "score",
    "greater_is_better": True,
    "strategy": {"type": "evolution"},
    "budgets": [],
    "seed": 0,
}
STOP_AFTER = 14


def evaluate(choices: Sequence[int]) -> dict[str, float]:
    """A score that needs no network; some candidates fail."""
    if sum(choices) % 7 == 0:
        raise RuntimeError("unlucky")
    return {"score": float(np.sin(np.dot(choices, range(1, len(choices) + 1))))}


class Stopping:
    """`evaluate` until `left` results are there; then the files are copied and the search ends."""

    def __init__(self, left: int, folder: Path, copies: Path) -> None:
        self.left, self.folder, self.copies = left, folder, copies

    def __call__(self, choices: Sequence[int]) -> dict[str, float]:
        """Score one candidate."""
        self.left -= 1
        if self.left < 0:
            shutil.copytree(self.folder, self.copies)
            raise KeyboardInterrupt
        return evaluate(choices)


def search(folder: Path, score: Any = evaluate) -> None:
    """Run the search in a folder, or resume it."""
    path = folder / "history.db"
    sampler = BudgetSampler(get_space("tiny"), [Budget()])
    costs = CandidateCosts(sampler)
    begin = History.open if path.exists() else History.create
    with begin(path, RECORDED) as history:
        run_search(SETTINGS.build(sampler, costs, 0), LocalExecutor(score, "score"), history, costs)


def trajectory(folder: Path) -> list[tuple[object, ...]]:
    """What must not depend on the damage."""
    rows = SearchHistory.read(folder).rows
    return [(e.generation, e.position, e.choices, e.status, e.score, e.costs) for e in rows]


def run(cases: int, seed: int, outcomes: Outcomes) -> None:
    """Make the files, then damage a copy of them in each case."""
    generator = np.random.default_rng(seed)
    with TemporaryDirectory() as temporary:
        whole, stopped, killed = (Path(temporary) / n for n in ("whole", "stopped", "killed"))
        for folder in (whole, stopped):
            folder.mkdir()
        search(whole)
        with suppress(KeyboardInterrupt):
            search(stopped, Stopping(STOP_AFTER, stopped, killed))
        expected, before = trajectory(whole), SearchHistory.read(stopped)
        for case in range(cases):
            source, name = ((stopped, "history.db"), (killed, "history.db-wal"))[case % 2]
            folder = Path(temporary) / "damaged"
            shutil.copytree(source, folder)
            (folder / "history.db.lock").unlink()
            content, bit = flip_bit((source / name).read_bytes(), generator)
            (folder / name).write_bytes(content)
            with outcomes.case(f"{case} ({name}, bit {bit})"):
                read = SearchHistory.read(folder)
                if source is stopped and (read.rows, read.fingerprint) != (
                    before.rows,
                    before.fingerprint,
                ):
                    outcomes.find(case, f"bit {bit} of {name} changed what is read")
                search(folder)
                if trajectory(folder) != expected:
                    outcomes.find(case, f"bit {bit} of {name} changed the trajectory")
                outcomes.add(f"{name} is used, and gives the same search")
            shutil.rmtree(folder)


if __name__ == "__main__":
    run_cases(__doc__, run)
