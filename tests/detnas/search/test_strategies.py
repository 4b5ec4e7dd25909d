"""Every strategy through one suite: determinism, resuming, budget, repetition, warm start, end."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec import structs
from toy_search import (
    MINI,
    TOY_STRATEGIES,
    interrupted_after,
    toy_sampler,
    toy_score,
    toy_search,
    trajectory,
)

from detnas.search.costs import CandidateCosts
from detnas.search.executors.base import Job, JobResult
from detnas.search.strategies import Strategy, StrategySettings
from detnas.search.strategies.random_search import draw_baseline
from detnas.search.strategies.unseen import list_all
from search_space.architecture import Choices
from search_space.sampling import BudgetSampler

pytestmark = pytest.mark.parametrize("settings", TOY_STRATEGIES, ids=lambda s: s.type)
Generations = list[list[tuple[Choices, float | None]]]


def build(
    settings: StrategySettings,
    seed: int = 0,
    sampler: BudgetSampler | None = None,
    start: Sequence[Choices] = (),
) -> Strategy:
    sampler = sampler or toy_sampler()
    return settings.build(sampler, CandidateCosts(sampler), seed, start)


def run(strategy: Strategy, failing: frozenset[int] = frozenset()) -> Generations:
    """Ask and tell to the end; the candidates counted in `failing` have no score."""
    told: Generations = []
    count = 0
    while proposals := strategy.ask():
        results = []
        for choices in proposals:
            results.append((choices, None if count in failing else toy_score(choices)))
            count += 1
        strategy.tell(results)
        told.append(results)
    return told


def proposed(told: Generations) -> list[Choices]:
    return [choices for generation in told for choices, _ in generation]


def test_same_seed_same_trajectory(settings: StrategySettings) -> None:
    assert run(build(settings)) == run(build(settings))
    assert run(build(settings)) != run(build(settings, seed=1))


def test_every_generation_is_full_within_budget_and_new(settings: StrategySettings) -> None:
    told = run(build(settings))
    assert [len(generation) for generation in told] == [settings.population] * settings.generations
    candidates = proposed(told)
    assert len(set(candidates)) == len(candidates)
    assert all(map(toy_sampler().contains, candidates))
    assert all(type(choice) is int for choices in candidates for choice in choices)


def test_longer_search_begins_with_the_shorter(settings: StrategySettings) -> None:
    longer = structs.replace(settings, generations=settings.generations + 2)
    assert run(build(longer))[: settings.generations] == run(build(settings))


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_ends_on_a_space_smaller_than_the_search(settings: StrategySettings, share: float) -> None:
    sampler = toy_sampler(MINI, share)
    strategy = build(settings, sampler=sampler)
    assert strategy.planned == sampler.count < settings.generations * settings.population
    assert sorted(proposed(run(strategy))) == list_all(sampler)


def test_ends_on_a_space_smaller_than_the_population(settings: StrategySettings) -> None:
    sampler = toy_sampler(MINI, 0.2)
    assert sampler.count < settings.population
    assert len(proposed(run(build(settings, sampler=sampler)))) == sampler.count


def test_ends_where_the_budgets_cannot_be_counted(
    settings: StrategySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = toy_sampler(MINI, 1.0)
    monkeypatch.setattr(sampler, "exact", False)
    candidates = proposed(run(build(settings, sampler=sampler)))
    assert len(set(candidates)) == len(candidates) == MINI.size


def test_resumes_at_any_point(settings: StrategySettings, tmp_path: Path) -> None:
    expected = trajectory(list(toy_search(tmp_path / "whole.db", settings).evaluations))
    for stop in range(len(expected)):
        path = tmp_path / f"{stop}.db"
        with pytest.raises(KeyboardInterrupt):
            toy_search(path, settings, evaluate=interrupted_after(stop))
        assert trajectory(list(toy_search(path, settings).evaluations)) == expected


class Backwards:
    """An executor whose results come in reverse."""

    def run(self, jobs: list[Job], on_start: object, on_result: object) -> None:
        for job in reversed(jobs):
            on_start(job.id, "test")  # type: ignore[operator]
            on_result(JobResult(job.id, toy_score(job.choices)))  # type: ignore[operator]


def test_order_of_completion_is_irrelevant(settings: StrategySettings, tmp_path: Path) -> None:
    forwards = toy_search(tmp_path / "a.db", settings)
    backwards = toy_search(tmp_path / "b.db", settings, executor=Backwards())  # type: ignore[arg-type]
    assert trajectory(list(forwards.evaluations)) == trajectory(list(backwards.evaluations))


def test_continues_when_all_candidates_fail(settings: StrategySettings) -> None:
    told = run(build(settings), failing=frozenset(range(1000)))
    assert len(set(proposed(told))) == settings.generations * settings.population


START = [(0,) * 10, (3,) + (0,) * 9, (1,) + (0,) * 9]


def test_generation_0_begins_with_the_start(settings: StrategySettings) -> None:
    told = run(build(settings, start=[START[0], *START]))
    assert proposed(told)[:3] == START
    assert len(set(proposed(told))) == settings.generations * settings.population
    assert told == run(build(settings, start=START))
    assert run(build(settings, start=())) == run(build(settings)) != told


def test_a_start_larger_than_a_generation_is_cut(settings: StrategySettings) -> None:
    drawn = proposed(run(build(settings, seed=5)))
    told = run(build(settings, start=drawn))
    assert [choices for choices, _ in told[0]] == drawn[: settings.population]
    assert [len(generation) for generation in told] == [settings.population] * settings.generations


def test_a_start_may_be_the_whole_space(settings: StrategySettings) -> None:
    sampler = toy_sampler(MINI, 0.2)
    told = run(build(settings, sampler=sampler, start=list_all(sampler)[::-1]))
    assert proposed(told) == list_all(sampler)[::-1]


def test_a_start_outside_the_budget_is_refused(settings: StrategySettings) -> None:
    with pytest.raises(ValueError, match=r"tiny:2,2.* has macs .*, outside the budget macs <= "):
        build(settings, start=[START[0], (2,) * 10])
    with pytest.raises(ValueError, match="architecture has 3 choices, space 'tiny' has 10 blocks"):
        build(settings, start=[(0, 0, 0)])


def test_a_baseline_is_a_prefix_of_a_longer_one(settings: StrategySettings) -> None:
    sampler = toy_sampler()
    assert draw_baseline(sampler, 3, 8)[:5] == draw_baseline(sampler, 3, 5)
