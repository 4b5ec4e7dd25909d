"""Scorers that compute nothing, for `search_executors.py`: workers import them without torch."""

import time
from collections.abc import Callable
from functools import partial


def _score(seconds: float, choices: tuple[int, ...]) -> dict[str, float]:
    if seconds:
        time.sleep(seconds)
    return {"score": float(sum(choices))}


def make_sleeping(seconds: float) -> Callable[[tuple[int, ...]], dict[str, float]]:
    """A scorer that sleeps; with 0, what is left of a candidate's time is the executor's own."""
    return partial(_score, seconds)
