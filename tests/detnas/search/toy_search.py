"""A search whose scorer needs no model: for the tests, and as a program that can be killed.

    python toy_search.py HISTORY [--kill-at POINT:CALL] [--seconds S] [--executor TYPE] ...

resumes HISTORY where it exists. `--kill-at History.record_done:7` ends the process by SIGKILL just
before the seventh call of that method, `--kill-at COMMIT:9` just before the ninth commit.
"""

import argparse
import logging
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from toy_workers import MakeToy, toy_score

from detnas.search.costs import CandidateCosts
from detnas.search.executors.base import Executor
from detnas.search.executors.build import Machine, build_executor
from detnas.search.executors.local import LocalExecutor
from detnas.search.executors.settings import ExecutorSettings
from detnas.search.history import file as history_file
from detnas.search.history.reading import SearchHistory
from detnas.search.history.records import Evaluation
from detnas.search.history.writer import History
from detnas.search.loop import SearchResult, run_search
from detnas.search.strategies import StrategySettings
from detnas.search.strategies.base import GenerationStrategy
from detnas.search.strategies.evolution import EvolutionSettings
from detnas.search.strategies.pareto import ParetoSettings
from detnas.search.strategies.random_search import RandomSettings, draw_baseline
from search_space.architecture import Choices
from search_space.sampling import Budget, BudgetSampler
from search_space.spaces import PAPER_CHOICES, SearchSpace, Stage, get_space

TINY = get_space("tiny")
MINI = SearchSpace("mini", 16, (Stage(32, 2),), PAPER_CHOICES)  # 16 architectures
TOY_STRATEGIES: list[StrategySettings] = [
    EvolutionSettings(generations=4, population=6, parents=3, mutations=2, crossovers=2),
    ParetoSettings(generations=4, population=6, parents=4, mutations=2, crossovers=2),
    RandomSettings(generations=4, population=6),
]


def toy_sampler(space: SearchSpace = TINY, share: float = 0.5) -> BudgetSampler:
    """Draws from the cheaper part of a space: up to `share` of the way from min to max MACs."""
    table = BudgetSampler(space, [Budget()]).cost_tables[0]
    upper = table.min + share * (table.max - table.min)
    return BudgetSampler(space, [Budget(upper=upper)])


def toy_evaluate(choices: Choices) -> dict[str, float]:
    return {"score": toy_score(choices), "nan": float("nan")}


def interrupted_after(results: int) -> Callable[[Choices], dict[str, float]]:
    """The scorer, interrupted as by Ctrl-C after so many results."""
    left = results

    def evaluate(choices: Choices) -> dict[str, float]:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return {"score": toy_score(choices)}

    return evaluate


def fingerprint(settings: StrategySettings, seed: int) -> dict[str, Any]:
    return {
        "space": "tiny",
        "budgets": [{"cost": "macs", "upper": None}],
        "strategy": {"generations": settings.generations, "population": settings.population},
        "seed": seed,
    }


def toy_search(
    path: Path,
    settings: StrategySettings = TOY_STRATEGIES[0],
    *,
    seed: int = 0,
    sampler: BudgetSampler | None = None,
    evaluate: Callable[[Choices], dict[str, float]] = toy_evaluate,
    executor: Executor | None = None,
    baseline: int = 0,
    **options: Any,
) -> SearchResult:
    """Run a search, or resume it where `path` exists."""
    sampler = sampler or toy_sampler()
    costs = CandidateCosts(sampler)
    begin = History.open if path.exists() else History.create
    with begin(path, fingerprint(settings, seed)) as history:
        return run_search(
            settings.build(sampler, costs, seed),
            executor or LocalExecutor(evaluate, "score"),
            history,
            costs,
            baseline=draw_baseline(sampler, seed, baseline),
            **options,
        )


def rows_of(path: Path) -> list[Evaluation]:
    """All rows of a history."""
    return list(SearchHistory.read(path).rows)


def trajectory(rows: list[Evaluation]) -> list[tuple[object, ...]]:
    """What must not depend on interruptions."""
    return [(e.role, e.generation, e.position, e.choices, e.status, e.score) for e in rows]


def noisy(choices: Choices) -> dict[str, float]:
    """A score with all its digits, which fails for some; as the program's."""
    return MakeToy(unlucky_sum=7)()(choices)


def start(path: Path, *options: str) -> "subprocess.Popen[str]":
    """This program in another process."""
    return subprocess.Popen(
        [sys.executable, __file__, str(path), *options],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _kill_before(point: str, call: int) -> None:
    """Have this process end by SIGKILL before the `call`-th time of a point."""
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)

    if point == "COMMIT":
        connect = history_file.connect

        def traced(path: Path, mode: str) -> sqlite3.Connection:
            connection = connect(path, mode)
            connection.set_trace_callback(lambda text: count() if text == "COMMIT" else None)
            return connection

        history_file.connect = traced
        return
    owner: Any = {"History": History, "Strategy": GenerationStrategy}[point.split(".")[0]]
    name = point.split(".")[1]
    original = getattr(owner, name)

    def replacement(*args: Any, **kwargs: Any) -> Any:
        count()
        return original(*args, **kwargs)

    setattr(owner, name, replacement)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("--kill-at")
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--executor", default="local")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--address", help="of a Ray cluster")
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--generations", type=int, default=4)
    parser.add_argument("--file-limit", type=int, help="bytes that a file may have")
    parser.add_argument("--fail", action="store_true", help="every candidate")
    return parser.parse_args()


def main() -> None:
    options = _arguments()
    logging.basicConfig(level=logging.INFO)  # what happens to workers
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell may have ignored
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command line has it
    if options.kill_at:
        point, call = options.kill_at.split(":")
        _kill_before(point, int(call))
    if options.file_limit:  # writes beyond it fail as on a full disk
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (options.file_limit, resource.RLIM_INFINITY))
    make = MakeToy(options.seconds, unlucky_sum=1 if options.fail else 7)
    settings = ExecutorSettings(
        options.executor,
        2,
        workers=options.workers,
        timeout=options.timeout,
        address=options.address,
    )
    with build_executor(settings, make, "score", Machine(0, 1)) as executor:
        toy_search(
            options.path,
            replace(TOY_STRATEGIES[0], generations=options.generations),
            executor=executor,
            baseline=3,
            progress=lambda progress: print(progress.done, flush=True),
        )
    print("done", flush=True)


if __name__ == "__main__":
    main()
