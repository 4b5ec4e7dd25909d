"""Adding a strategy: its settings and one entry in `STRATEGIES`, as CONTRIBUTING.md says."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from toy_search import interrupted_after, rows_of, toy_search, trajectory

from detnas.search.strategies import STRATEGIES, Costs, Strategy, StrategySettings
from detnas.search.strategies.base import GenerationStrategy, Scored
from detnas.search.strategies.unseen import Unseen
from detnas.stages.settings import SearchSettings
from search_space.architecture import Choices, as_choices
from search_space.sampling import BudgetSampler


class HillClimbSettings(StrategySettings, tag="hill_climb", frozen=True):
    """Mutates the best candidate only.

    Attributes:
        step: probability with which each block's choice is drawn again.
    """

    step: float = 0.2

    def build(
        self, sampler: BudgetSampler, costs: Costs, seed: int, start: Sequence[Choices] = ()
    ) -> Strategy:
        def breed(
            rng: np.random.Generator, ranked: Sequence[Scored], unseen: Unseen
        ) -> list[Choices]:
            best = ranked[0].choices
            children = (as_choices(sampler.mutate(rng, best, self.step)) for _ in range(20))
            return [child for child in children if unseen.claim(child)][: self.population // 2]

        return GenerationStrategy(
            sampler, costs, seed, self.generations, self.population, breed, start
        )


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> StrategySettings:
    """The strategy as a config names it."""
    monkeypatch.setitem(STRATEGIES, "hill_climb", HillClimbSettings)
    section = {"type": "hill_climb", "generations": 4, "population": 6}
    return SearchSettings.from_section({"supernet": "s.pth", "strategy": section}).strategy


def test_new_strategy_is_read_from_a_config(settings: StrategySettings) -> None:
    assert settings == HillClimbSettings(generations=4, population=6)
    assert settings.type == "hill_climb"
    section = {"type": "hill_climb", "stap": 1}
    with pytest.raises(ValueError, match=r"unknown key 'stap' under .*; did you mean 'step'\?"):
        SearchSettings.from_section({"supernet": "s.pth", "strategy": section})


def test_new_strategy_searches_and_resumes(settings: StrategySettings, tmp_path: Path) -> None:
    whole = toy_search(tmp_path / "whole.db", settings)
    first = [row.score for row in whole.evaluations if row.generation == 0]
    assert whole.score > max(score for score in first if score is not None)
    with pytest.raises(KeyboardInterrupt):
        toy_search(tmp_path / "half.db", settings, evaluate=interrupted_after(9))
    toy_search(tmp_path / "half.db", settings)
    assert trajectory(rows_of(tmp_path / "half.db")) == trajectory(rows_of(tmp_path / "whole.db"))
