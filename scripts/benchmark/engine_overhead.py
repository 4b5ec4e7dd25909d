"""What the search engine itself takes for a candidate: proposing, recording, scheduling.

    python scripts/benchmark/engine_overhead.py [--candidates 1000] [--repeats 5] [--json FILE]

Searches of the small space under 300M multiply-adds by a function that takes no time, from the
first proposal to `best_architecture.json`, with the history on the disk.
"""

import argparse
import json
import statistics
import tempfile
import time
import zlib
from pathlib import Path

import detnas

POPULATIONS = (50, 200, 1000, 10_000)


def made_up(architecture: detnas.Architecture) -> float:
    """A score in which a third of the variance is of the choices, the rest of chance."""
    chance = zlib.crc32(repr(architecture.choices).encode()) / 2**32
    return sum(architecture.choices) / len(architecture.choices) + 2 * chance


def milliseconds(population: int, candidates: int, workers: int = 1) -> float:
    """Of a candidate, in one search."""
    generations = max(1, candidates // population)
    parents = max(1, population // 5)
    strategy = {
        "type": "evolution",
        "generations": generations,
        "population": population,
        "parents": parents,
        "mutations": population // 2,
        "crossovers": population - population // 2,
    }
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        detnas.search(
            "small",
            made_up,
            work_dir=folder,
            budgets="macs=..300e6",
            strategy=strategy,
            workers=workers,
        )
        seconds = time.perf_counter() - began
    return 1000 * seconds / (generations * population)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=1000, help="of a search, at least")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    milliseconds(50, 100)  # imports what it needs
    found: dict[str, list[float]] = {}
    for _ in range(options.repeats):
        for population in POPULATIONS:
            candidates = max(options.candidates, 2 * population)
            name = f"population {population}, {candidates} candidates"
            found.setdefault(name, []).append(milliseconds(population, candidates))
    for name, values in found.items():
        low, high = min(values), max(values)
        print(f"{name:<42}{statistics.median(values):.3f} ms ({low:.3f} to {high:.3f})", flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
