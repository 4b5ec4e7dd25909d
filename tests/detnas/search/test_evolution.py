"""What only the evolution does: who breeds, and what its children are."""

import numpy as np
import pytest
from test_strategies import build, run
from toy_search import MINI, TINY, toy_sampler

from detnas.search.strategies.breeding import breed_children
from detnas.search.strategies.evolution import EvolutionSettings
from detnas.search.strategies.unseen import Unseen
from search_space.architecture import Choices
from search_space.sampling import Budget, BudgetSampler


def test_parents_are_the_best_candidates_with_a_score(monkeypatch: pytest.MonkeyPatch) -> None:
    bred_from: list[list[Choices]] = []

    def spy(*args: object) -> list[Choices]:
        bred_from.append(list(args[3]))  # type: ignore[call-overload]
        return breed_children(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("detnas.search.strategies.evolution.breed_children", spy)
    evolution = EvolutionSettings(4, 6, parents=3, mutations=2, crossovers=2)
    failing = frozenset({0, 3, 7, 8})
    told = run(build(evolution), failing)
    cost = BudgetSampler(TINY, [Budget()]).cost_tables[0].of
    for number, parents in enumerate(bred_from, start=1):
        past = [result for generation in told[:number] for result in generation]
        scored = [(-score, cost(c), i, c) for i, (c, score) in enumerate(past) if score is not None]
        assert parents == [c for *_, c in sorted(scored)[:3]]
    assert len(bred_from) == 3


def test_children_come_first_and_resemble_their_parents() -> None:
    sampler = toy_sampler(share=1.0)
    parents = [(0,) * 10, (1,) * 10]
    evolution = EvolutionSettings(2, 40, parents=2, mutations=20, crossovers=20)
    rng = np.random.default_rng(0)
    children = breed_children(evolution, sampler, rng, parents, Unseen(sampler))
    assert len(set(children)) == 40
    assert all(set(child) <= {0, 1} for child in children[20:])
    changed = [
        min(sum(a != b for a, b in zip(c, p, strict=True)) for p in parents) for c in children[:20]
    ]
    assert np.mean(changed) < 3


def test_random_candidates_replace_children_that_cannot_be_found() -> None:
    sampler = toy_sampler(MINI, 1.0)
    unseen = Unseen(sampler)
    unseen.draw(np.random.default_rng(0), 16)
    evolution = EvolutionSettings(2, 4, parents=2, mutations=2, crossovers=2)
    rng = np.random.default_rng(0)
    assert breed_children(evolution, sampler, rng, [(0, 0), (1, 1)], unseen) == []


def test_scores_improve_over_the_generations() -> None:
    told = run(build(EvolutionSettings(10, 20, parents=5, mutations=8, crossovers=8)))
    first, last = ([score or 0 for _, score in told[i]] for i in (0, -1))
    assert max(last) > max(first)
