"""Search strategies with an ask/tell interface; they do not depend on the evaluation."""

from typing import Any, Union

from detnas.search.strategies.base import Costs, Result, Strategy, StrategySettings
from detnas.search.strategies.evolution import EvolutionSettings
from detnas.search.strategies.pareto import ParetoSettings
from detnas.search.strategies.random_search import RandomSettings
from search_space.validation import convert

__all__ = ["STRATEGIES", "Costs", "Result", "Strategy", "StrategySettings", "read_strategy"]

STRATEGIES: dict[str, type[StrategySettings]] = {
    "evolution": EvolutionSettings,
    "pareto": ParetoSettings,
    "random": RandomSettings,
}
"""The settings of each strategy by its name in a config, which is also the class's tag."""


def read_strategy(given: Any, where: str) -> StrategySettings:
    """The settings of a strategy from a dict with its "type".

    Raises:
        SpaceError: an unknown strategy or setting, or a value out of its range; the message begins
            with `where`.
    """
    kind: Any = Union[tuple(STRATEGIES.values())]  # noqa: UP007 - known at run time only
    settings: StrategySettings = convert(given, kind, where)
    return settings
