"""What an experiment will take on this machine, from a few steps of each stage."""

from detnas.stages.forecast.forecaster import Forecast, Forecaster

__all__ = ["Forecast", "Forecaster"]
