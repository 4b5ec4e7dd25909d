"""Search strategies behind one ask/tell; they know a space and a budget, nothing of evaluation."""

from detnas.search.strategies.base import Costs, Result, Strategy, StrategySettings
from detnas.search.strategies.evolution import EvolutionSettings
from detnas.search.strategies.pareto import ParetoSettings
from detnas.search.strategies.random_search import RandomSettings
from detnas.search.strategies.unseen import Choices

__all__ = ["STRATEGIES", "Choices", "Costs", "Result", "Strategy", "StrategySettings"]

STRATEGIES: dict[str, type[StrategySettings]] = {
    settings.type: settings for settings in (EvolutionSettings, ParetoSettings, RandomSettings)
}
