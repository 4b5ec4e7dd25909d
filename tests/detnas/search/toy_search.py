"""A search whose scorer needs no model: for the tests, and as a script that can be killed.

    python toy_search.py HISTORY [KILL_AT [SECONDS_A_CANDIDATE]]

resumes HISTORY where it exists. KILL_AT "record_done:7" ends the process by SIGKILL just before the
seventh call of that method of `History`.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from detnas.search.costs import candidate_costs
from detnas.search.executors import Executor, LocalExecutor
from detnas.search.history import History
from detnas.search.loop import SearchResult, run_search
from detnas.search.records import Evaluation
from detnas.search.strategies import Choices, StrategySettings
from detnas.search.strategies.evolution import EvolutionSettings
from detnas.search.strategies.random_search import RandomSettings, draw_baseline
from search_space.sampling import Budget, BudgetSampler
from search_space.spaces import SearchSpace, Stage, get_space

TINY = get_space("tiny")
MINI = SearchSpace("mini", 16, (Stage(32, 2),))  # 16 architectures
STRATEGIES: list[StrategySettings] = [
    EvolutionSettings(generations=4, population=6, parents=3, mutations=2, crossovers=2),
    RandomSettings(generations=4, population=6),
]


def toy_sampler(space: SearchSpace = TINY, share: float = 0.5) -> BudgetSampler:
    """Draws from the cheaper part of a space: up to `share` of the way from min to max MACs."""
    table = BudgetSampler(space, [Budget()]).cost_tables[0]
    upper = table.min + share * (table.max - table.min)
    return BudgetSampler(space, [Budget(upper=upper)])


def toy_score(choices: Choices) -> float:
    """Rewards one choice a block; many candidates tie."""
    return float(sum(choice == block % 4 for block, choice in enumerate(choices)))


def toy_evaluate(choices: Choices) -> dict[str, float]:
    return {"score": toy_score(choices), "nan": float("nan")}


def fingerprint(settings: StrategySettings, seed: int) -> dict[str, Any]:
    return {
        "space": "tiny",
        "budgets": [{"cost": "macs", "upper": None}],
        "strategy": {"generations": settings.generations, "population": settings.population},
        "seed": seed,
    }


def toy_search(
    path: Path,
    settings: StrategySettings = STRATEGIES[0],
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
    costs = candidate_costs(sampler)
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


def trajectory(rows: list[Evaluation]) -> list[tuple[object, ...]]:
    """What must not depend on interruptions."""
    return [(e.role, e.generation, e.position, e.choices, e.status, e.score) for e in rows]


def noisy(choices: Choices) -> dict[str, float]:
    """A score with all its digits, which fails for some."""
    if sum(choices) % 7 == 0:
        raise RuntimeError("unlucky")
    return {"score": toy_score(choices) + float(np.sin(sum(choices)))}


def _kill_before(method: str, call: int) -> None:
    original = getattr(History, method)
    calls = 0

    def replacement(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(History, method, replacement)


def main() -> None:
    path, kill_at, seconds = (sys.argv[1:] + ["", "0"][len(sys.argv) - 2 :])[:3]
    if kill_at:
        method, call = kill_at.split(":")
        _kill_before(method, int(call))

    def evaluate(choices: Choices) -> dict[str, float]:
        time.sleep(float(seconds))
        return noisy(choices)

    toy_search(
        Path(path),
        evaluate=evaluate,
        baseline=3,
        progress=lambda progress: print(progress.done, flush=True),
    )


if __name__ == "__main__":
    main()
