"""Searches on under other budgets: a new search that starts from the best of an earlier one."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from mmengine.config import Config

from detnas.errors import UserError, user_input
from detnas.search.history.file import FILE_NAME
from detnas.search.history.reading import SearchHistory
from detnas.search.progress import ProgressCallback
from detnas.stages.search import search
from detnas.stages.searched import searched_config
from detnas.stages.settings import SearchSettings
from search_space.budget import Budget


def search_on(
    history: SearchHistory,
    budgets: Sequence[Budget],
    evaluations: int,
    work_dir: Path,
    supernet: Path | None = None,
    progress: ProgressCallback | None = None,
) -> SearchHistory:
    """Search under other budgets on the same supernet, or resume that search.

    Its first generation scores the best candidates of the earlier search within the budgets again.

    Args:
        history: of the earlier search.
        budgets: in the place of the earlier search's on the same costs.
        evaluations: to make after those of the first generation, at least.
        work_dir: of the new search.
        supernet: the checkpoint, where it is no longer at the path that the config names.
        progress: called after each result.
    Returns:
        The history of the new search.
    Raises:
        UserError: as `searched_config` and `search`.
    """
    if work_dir.resolve() == history.path.parent.resolve():
        raise UserError(f"{work_dir} is that of the search itself: name another by --work-dir")
    config = searched_config(history, supernet)
    file = work_dir / FILE_NAME
    begun = SearchHistory.read(file) if file.is_file() else None
    _adapt(config, history, budgets, evaluations, begun)
    config.work_dir = str(work_dir)
    with user_input():
        return search(config, resume=True, progress=progress)


def folder_name(budgets: Sequence[Budget]) -> str:
    """The name of a search's folder: "search_macs-to-200000000"."""
    parts = []
    for budget in budgets:
        lower = "" if budget.lower is None else f"-from-{_digits(budget.lower)}"
        upper = "" if budget.upper is None else f"-to-{_digits(budget.upper)}"
        parts.append(f"{budget.cost}{lower}{upper}")
    return "_".join(["search", *parts])


def _digits(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _adapt(
    config: Config,
    history: SearchHistory,
    budgets: Sequence[Budget],
    evaluations: int,
    begun: SearchHistory | None,
) -> None:
    """Set budgets, start and length of the new search in the config of the earlier one."""
    settings = SearchSettings.from_section(config.to_dict()["search"])
    kept = {budget.cost: budget for budget in settings.budgets}
    merged = {**kept, **{budget.cost: budget for budget in budgets}}
    config.search.budgets = msgspec.to_builtins(list(merged.values()))
    config.search.random_baseline = 0
    config.search.finalists = 0
    if begun is not None:
        starts = begun.fingerprint.get("start", {}).get("from", [])
        strategy = dict(begun.strategy)
        before = int(strategy["generations"])
    else:
        starts = [str(history.path.parent.resolve())] if _has_within(history, merged) else []
        strategy = _sized(msgspec.to_builtins(settings.strategy), evaluations)
        before = 1
    config.search.start_from = starts
    more = math.ceil(evaluations / strategy["population"])
    strategy["generations"] = max(before, more + bool(starts))
    config.search.strategy = strategy


def _has_within(history: SearchHistory, budgets: Mapping[str, Budget]) -> bool:
    """Whether the earlier search, without its baseline, has candidates within the budgets."""
    return any(
        all(budget.contains(row.costs[cost]) for cost, budget in budgets.items())
        for row in history.ranked()
    )


def _sized(strategy: Mapping[str, Any], evaluations: int) -> dict[str, Any]:
    """The strategy with generations of at most so many candidates, bred in the same proportions."""
    sized = dict(strategy)
    population = sized["population"]
    sized["population"] = min(population, evaluations)
    for key in ("mutations", "crossovers"):
        if key in sized:
            sized[key] = sized[key] * sized["population"] // population
    if sized.get("parents") is not None:
        sized["parents"] = min(sized["parents"], sized["population"])
    return sized
