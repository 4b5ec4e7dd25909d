"""Search strategies behind one ask/tell; they know a space and a budget, nothing of evaluation."""

from detnas.search.strategies.base import Costs, Result, Strategy, StrategySettings
from detnas.search.strategies.evolution import EvolutionSettings
from detnas.search.strategies.pareto import ParetoSettings
from detnas.search.strategies.random_search import RandomSettings

__all__ = ["AnyStrategy", "Costs", "Result", "Strategy", "StrategySettings"]

AnyStrategy = EvolutionSettings | ParetoSettings | RandomSettings
"""The strategies that a config may name; each by the tag of its settings."""
