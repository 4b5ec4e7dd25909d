"""Search strategies with an ask/tell interface; they do not depend on the evaluation."""

from detnas.search.strategies.base import Costs, Result, Strategy, StrategySettings
from detnas.search.strategies.evolution import EvolutionSettings
from detnas.search.strategies.pareto import ParetoSettings
from detnas.search.strategies.random_search import RandomSettings

__all__ = ["STRATEGIES", "Costs", "Result", "Strategy", "StrategySettings"]

STRATEGIES: dict[str, type[StrategySettings]] = {
    "evolution": EvolutionSettings,
    "pareto": ParetoSettings,
    "random": RandomSettings,
}
"""The settings of each strategy by its name in a config, which is also the class's tag."""
